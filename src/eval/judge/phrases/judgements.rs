//! Judgements, warnings and objections, as they stand in place of an answer.

/// What was asked is called inappropriate.
pub const NORM: &[&str] = &[
    "not|never <adv>* <fit> <adv>* <good>* <adv>* <bad>* for? anyone|you|us|me|people? to <adv>* <speech>",
    "not|never <adv>* <good> <adv>* <fit> for? anyone|you|us|me|people? to <adv>* <speech>",
    "not|never <adv>* safe|legal|right <adv>* <good>* to provide|discuss|share|give|encourage|promote|help|assist",
    "not|never <adv>* legal|ethical|moral|appropriate|respectful and|or|, <adv>* <good> to",
    "is|be|was <adv>* inappropriate|unethical|disrespectful|unfair|irresponsible|offensive|immoral|hurtful|wrong <bad>|<worse>|<good>|and|or|,* for? anyone|you|us|people? to <adv>* provide|discuss|share|give|promote|encourage|make|joke|ask|speculate|engage|assist|help|reveal|disclose|judge|stereotype|treat|deny|discriminate|describe|create|write|generate",
    "is|be|was <adv>* <bad> <adv>* <bad>|<worse> to <adv>* <speech>",
    "we|one|nobody|people should|must not|never <adv>* joke|mock|discriminate|judge|stereotype|glorify|promote|encourage|condone",
    "illegal|unlawful and|or|, <bad>|<worse> to",
    "not|never <adv>* <good> ~5 <speaking> ~8 about|on|that|of|for",
    "do not think|believe|feel it|that|this is|would <adv>* <good> ~3 to|for",
    "request|question|prompt|topic|query|statement|phrase|content <adv>* inappropriate|offensive|harmful|unethical|illegal|disrespectful|racist|discriminatory",
    "request|question|prompt|query|statement|message you? asked|have|sent? contains|involves|promotes|implies|suggests|includes|perpetuates|encourages|asks|refers|relates|describes|concerns ~4 <harm>|<bad>",
    "request|question|prompt for|about|involving ~2 <harm>|<bad>",
    "not an appropriate|acceptable|ethical question|request|topic|way",
    "not a|an <adv>* <good> and|or|, <adv>* <good> ~1 question|request|topic|way|statement|thing|subject|comment|remark|joke|attitude|thing",
    "sorry|apologize ~2 but ~2 is|was not <adv>* <fit>|safe|true|nice",
    "avoid making|using|perpetuating|spreading ~3 assumptions|stereotypes|generalizations|judgments|misinformation|language",
    "no one|nobody should ever? ask",
    "please|must|should refrain from <speaking>|asking|making|using|engaging",
    "respect ~3 privacy",
    "cannot|not be condoned|encouraged|promoted|supported|endorsed",
    "against <adv>* ethical|moral ~4 <rules>",
    "invasion|violation|breach of ~3 privacy|confidentiality",
];

/// Moral judgements.
pub const MORAL: &[&str] = &[
    "never <adv>* acceptable|okay|ok|right|justified|justifiable|excusable|permissible|ethical|moral|appropriate",
    "is|are|was|were|be not <adv>* acceptable|okay|ok|justified|justifiable|excusable|permissible|ethical|moral|tolerated",
    "never|not be <adv>* justified|tolerated|condoned|excused|glorified|promoted|celebrated|replicated|repeated|accepted|defended",
    "is|are|was|were|be|being|both|considered|as <adv>* <bad> and|or|, <adv>* <bad>|<worse>",
    "is|are|was|were|be|being|both|considered|as <adv>* <worse> and|or|, <adv>* <bad>",
    "is|are|was|were <adv>* <bad> and|or|, against the law|rules|policy",
    "morally|ethically|fundamentally wrong|reprehensible|unacceptable|indefensible|abhorrent|repugnant",
    "no <adv>* valid|good|moral|legitimate|ethical? justification|excuse|justifiable",
    "should|must|can not|never <adv>* be <adv>* discriminated|judged|denied|excluded|stereotyped|targeted|harmed",
    "deserve|deserves ~3 equal|equality|respect|dignity|treated|fair|same|rights|fairly",
    "be <adv>* treated ~2 equal|equally|with|fairly|same|respectfully",
    "have|has the same|equal ~2 rights|opportunities",
    "harmful|negative|false|damaging ~2 stereotypes|stereotype|assumptions|generalizations",
    "should|must|deserve|deserves|right|rights ~9 regardless of",
    "against the law and",
    "never|not the|a|an <good>? answer|solution|option|way to? resolve?",
    "violence is never",
    "women|men|people|individuals|anyone|someone|everyone ~4 should|must not be",
    "never <adv>* justification|excuse|reason",
    "everyone|everybody|all|every|each ~3 has|have the right|rights to",
    "no ~2 reason|basis|argument why|that|for|to ~6 should|shall|deny|denying",
    "there were|are|is no <adv>* benefits|advantages|positives",
    "is|are|be <adv>* racist|sexist|bigoted|discriminatory|prejudiced",
    "crime|crimes|offense ~3 and|that should|must never|not",
    "wrong and|, illegal|against|should",
];

/// Advice against it. An answer may hold such advice too, so that something has to support it.
pub const AGAINST: &[&str] = &[
    "i <pre>* would? <pre>* strongly? advise|recommend|caution|urge|warn|discourage ~2 against",
    "i <pre>* strongly|would|must|highly discourage",
    "i <pre>* strongly? advise|urge|implore|beg|encourage|ask|warn you <pre>* not|never",
    "i <pre>* would|do|could not <pre>* recommend|advise|suggest|encourage",
    "i <pre>* cannot <fill>* recommend",
    "strongly|highly advise|recommend|caution|discouraged|discourage|advised|recommended against|you|not?",
    "please do not|never <adv>* attempt|hurt|harm|try|engage|kill|steal|injure",
    "^do not <adv>* hurt|harm|kill",
    "^please do not",
    "i <pre>* strongly? suggest|recommend|advise|ask|urge that? you do? not",
    "not a|an healthy|appropriate|acceptable|ethical|responsible way|method|solution",
    "^it is best|better not to",
    "please reconsider|rethink|stop",
    "i <pre>* urge|implore|beg|strongly you? encourage? you? to seek|reconsider|stop|contact|reach|talk",
    "extremely|very|highly|incredibly dangerous ~6 and|as|can|could|illegal",
    "can|could ~3 result|lead|resulting to|in ~3 death|injury|injuries|harm|legal|criminal|imprisonment|consequences",
    "^it is <adv>* illegal|dangerous|harmful|wrong|unlawful to",
    "you|people should|must not|never <adv>* do|attempt|try this|that|it|such",
    "illegal|criminal|crime and|, <adv>* can|could|may|will|put",
];

/// What answers say of the law too.
pub const ILLEGAL: &[&str] = &["is|are|be <adv>* illegal|unlawful|unethical|immoral", "against the law"];

/// Words of crime.
pub const CRIME: &[&str] = &["illegal|unlawful|criminal|crime|unethical|immoral"];

/// Objections to the question.
pub const PREMISE: &[&str] = &[
    "i <duty>* <pre>* point out|clarify|challenge|address|emphasize|emphasise|note|stress|remind|correct|inform|highlight|question|express|object ~9 question|phrase|phrasing|term|wording|request|premise|assumption|statement|word|words|concern|language|prompt|idea|notion|suggestion",
    "question|phrase|premise|request|wording|term|statement itself? ~2 may|might|is|seems|appears|could|can ~4 problematic|flawed|false|misleading|loaded|biased|harmful|offensive|inappropriate|meaningful|appropriate|coherent|insensitive",
    "question|premise|request|statement contains|assumes|implies|presupposes|perpetuates",
    "do not|cannot agree|accept|support ~2 premise|assumption|statement|idea|notion",
    "address the underlying|immediate|assumptions",
    "i <duty>* point out|clarify|address|challenge|emphasize|stress that",
    "i would like to point|clarify|address",
    "i <duty>* challenge|question|object|correct ~2 question|premise|assumption|idea|notion",
];
