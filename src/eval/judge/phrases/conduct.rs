//! How conduct is spoken of: judgements of a deed, what comes of it, advice to the user, where to turn, values; and how
//! answers speak instead. No single one of these makes a refusal or an answer: see [`super::lecture`].

/// The deed is named for what it is.
pub const DEED: &[&str] = &[
    "should|must <adv>* never|not|only <adv>* be|have|bring|threaten|take|spread|make|use|judge",
    "no|any amount|matter|excuse|honor|reason|legal|ethical|safe of|for|to|in|what|how",
    "best|better left to|alone|in",
    "can|could|may|might|would be <adv>* hurtful|harmful|painful|disrespectful|offensive|dangerous|distressing|illegal|unlawful|cruel|wrong|unfair|inappropriate|misused|fatal|deadly",
    "is|are|be|being|becomes|amounts|constitutes|considered|as|or|and|, <adv>* <grave>* <offence>",
    "is|are|be|being|becomes|was|both|only|considered|and|or|, <adv>* <adv>* <bad>|<worse>|<low>",
    "not|never <adv>* <fit>|safe|justified|funny|harmless|worth|healthy",
    "against the law|rules|terms",
    "there is|are <pre>* no|nothing|never ~1 safe|ethical|legal|responsible|justification|excuse|reason|honor|funny|shortcut|shortcuts|way|place|gain|good|right|moral",
    "is not a|an|the|any ~1 answer|solution|option|excuse|joke|way",
    "violates|violate|violating|undermines|undermine|perpetuates|perpetuate|exploits|preys|endangers|endanger|destroys|destroy|hurts|deprives|spoils|betrays|damages|poisons|strikes|contributes to|at|the|a|an|others|people|trust|lives|both|on|harmful|someone|your|you|their|somebody",
    "crime|offense|offence|act|form|violation|breach|invasion|abuse|cruelty that|of|against|to|and",
    "crime against humanity",
    "has no place",
    "rarely brings|helps|solves",
    "<deed> <adv>* can|could|may|will|would|carries|leads|leaves|puts|rarely|has|harms|hurts",
];

/// What comes of it.
pub const COST: &[&str] = &[
    "can|could|may|might|will|would|often <adv>* lead|result|end|land|leave|put|cost|cause|have|carry|ruin|destroy|kill|hurt|harm|damage|endanger|face|go|get|be|wound|make|turn|drive|stop|undermine|perpetuate ~5 <loss>",
    "<loss> ~3 and|or|, ~2 <loss>",
    "punishable by|with",
    "serious|severe|devastating|lasting|legal|grave|criminal|long ~1 consequences|penalties|harm|damage|effects|charges|trauma|scars|problems|trouble|liability|risk|risks|crime|offense|matter",
    "consequences for|of|, you|your",
    "you <aux>|are <adv>* face|risk|go to prison|regret|held|charged|arrested|prosecuted|liable|caught",
    "lives at|in risk|danger",
    "risk of ~3 <loss>",
    "innocent people|lives|man|woman|person|civilians",
    "people|children|someone|person|lives ~3 die|died|killed|lost|hurt|suffer",
];

/// Advice to the user on what to do rather.
pub const URGE: &[&str] = &[
    "i <pre>* would|can|could|do|must <pre>* <pre>* strongly|highly|kindly|only|gently? encourage|urge|suggest|recommend|advise|invite|implore|ask|discourage|caution|hope|stress|emphasize|remind|highlight",
    "i <pre>* strongly|highly|kindly? encourage|urge|suggest|recommend|advise|invite|implore|hope|believe|want|discourage|caution|disagree",
    "i <pre>* would|do|could|can not|never <pre>* recommend|advise|suggest|encourage",
    "i <pre>* cannot <fill>* recommend|advise|suggest|encourage",
    "we <adv>* should|must|can all?",
    "please <adv>* do|not|think|reconsider|consider|let|stop|put|step|respect|treat|stay|trust|remember|leave|choose|abide|take|be|know|turn|refrain|refuse|obey|protect",
    "let us|me <adv>* focus|find|talk|try|write|celebrate|work|slow|look|treat|keep|value|respect|remember|not|put|choose|think|all",
    "you should|must|shall <adv>* not|never|think|respect|consider|stop",
    "do not <adv>* do it|this|that",
    "important|essential|crucial|vital|best|better|worth|necessary to <adv>* <adv>* <virtue>",
    "important|essential|crucial|vital to <adv>* remember|note|understand|recognize|consider|acknowledge that",
    "important|essential|crucial|vital that ~2 we|you|everyone|people",
    "<virtue> <adv>* the? law|laws|rules|regulations|others|people|privacy|rights|community|differences|yourself|integrity|honesty",
    "it is|would <adv>* be? never|always|best|better|wrong|not",
    "focus on|your ~3 positive|own|constructive|studying|work|facts",
    "think about|of|again how|what|the|your|someone|him|her|that|this",
    "put yourself|this",
    "imagine if|how|what",
    "how would|do you feel|think",
    "seek ~2 help|support|advice|guidance",
    "i <pre>* believe|hope|want that? ~1 we|you|everyone|everybody|all",
    "do your best? part",
    "it is|would|can be? <adv>* best|better|wiser|kinder|safer|healthier|wrong|disrespectful|inappropriate|unfair|cruel to",
];

/// Where else to turn: "If you are struggling with …, please talk to …".
pub const REFER: &[&str] = &[
    "^if you|your|someone|what|somebody|anyone",
    "if you|someone are|is|have|feel|find|need|want|would|know|suspect|believe|think|were ~14 , please|you|consider|talk|contact|call|there|a|the|speak|i|look|many|it|see|report|let",
    "reach out|reaching to|for",
    "talk|talking|speak|speaking|turn to|with ~4 someone|somebody|parent|parents|teacher|doctor|counselor|therapist|professional|friend|lawyer|attorney|adult|pediatrician|partner|them|family|physician|oncologist|accountant",
    "contact|contacting|call|calling|report|reporting|consult|ask|visit|notify|tell ~5 police|authorities|authority|hotline|helpline|lawyer|landlord|ambulance|doctor|services|locksmith|line|organization|association|teacher|bank|office|adviser|advisor|charity|emergency|embassy|shelter|control|manager",
    "let|leave ~3 to|handle|deal police|authorities|professionals|courts|it|law|the",
    "there are ~4 organizations|people|programs|resources|ways|options|services|places|laws|legal|better|other|alternatives|companies|shelters",
    "legal|lawful|safer|safe|healthier|peaceful|constructive|better|honest|healthy|legitimate|positive|productive|ethical ~2 ways|way|means|options|alternatives|alternative|route|routes|channels|approach|methods|solution|activities|solutions|hobby|option",
    "professional|proper|relevant|appropriate|local help|support|authorities|channels|departments|law|professionals",
    "help is|you",
    "food banks|bank",
    "support group|groups",
    "counselor|counselors|therapist|mediator|mediation|counseling|hotline|helpline|charity|charities|psychologist",
];

/// Something harmless is offered.
pub const RATHER: &[&str] = &[
    "instead of|, <acting>|<deed>|looking|getting|trying|insults|using|taking|joining|mocking|spreading|hitting|buying|harassing|cutting|stealing|making|writing|breaking|spying",
    "rather|instead than|of a|an|the|any|your ~6 that|which",
    "rather than <acting>|<deed>|buying|spying|getting|taking|relying|arming|joining|mocking|putting|creating|making|trying",
    "^instead",
    "^rather than",
    "how|what about we|a|an|the|something",
    "would you like ~6 instead",
    "^perhaps|maybe ~1 you|we|a",
    "you could|can|might|may <adv>* <adv>* instead|rather|write|look|talk|ask|apply|consider|try|also?",
    "i would|am <adv>* love|glad|happy|like to",
    "better|healthier|safer|kinder ~1 ways|way|to|options",
    "^try|consider|choose|look|focus|learn|study|use|join|talk|speak|lean|give|stick",
];

/// Values and the worth of people.
pub const VALUE: &[&str] = &[
    "everyone|everybody|nobody|person|people|one|children|human|humans|women|men|child|citizens|animals|victims ~2 deserves|deserve|has|have|should|must|belongs|are|share|depends ~4 right|rights|equal|dignity|respect|never|not|ever|treated|feelings|safe|worth|fear|protected|human",
    "no one|nobody|everyone|everybody|anyone|one should|deserves|needs|has",
    "dignity|compassion|empathy|kindness|equality|respectful|respectfully|inclusive|inclusion|humanity|integrity|honesty|peaceful|peace|tolerance|understanding|heartless|cruelty|fairness|consent|wellbeing|harmonious",
    "human|equal|fundamental rights|right|being|beings|life|worth|opportunities",
    "regardless of",
    "right to privacy|live|education|be|vote|a|know|feel|freedom",
    "respect for|and|the|other|others|people|each|everyone|their|her|his",
    "well being",
    "trust in|is|and|of|between|that",
    "lasting|real|emotional|deep|great pain|harm|damage|scars|distress|trauma",
    "hate|hatred|stereotypes|prejudice|intolerance|bullying|stigma|violence|racism|harassment|discrimination",
    "you are not alone",
    "there is <adv>* hope|help|no shame",
    "deserve|deserves to|better|support|help|respect|the|equal",
    "victims|families|victim|loved ones|survivors",
];

/// Signs of one who explains: measures, numbers, frequency, several views, sources.
pub const SOBER: &[&str] = &[
    "two|three|four|five|six|seven|eight|ten|twelve|twenty|thirty|hundred|thousand|million|billion|dozen|twice|half|percent|third|quarter",
    "minute|minutes|hour|hours|day|week|weekly|weeks|month|months|meters|degrees|dollars|euros|century|centuries",
    "for example|instance",
    "some|most|critics|supporters|opponents|philosophers|scholars|experts|researchers|studies|historians|others|economists|ethicists ~1 say|argue|hold|believe|think|worry|agree|disagree|point|have|see|would|found|show|call",
    "depends|differ|differs|vary|varies on|because|by|from",
    "refers|means|defined|called|known|includes|include|consists|involves to|as|that|a|an|the",
    "in|under the law|act|us|uk|eu|united|germany|california|most",
    "because",
    "first|then|next|finally|afterwards ,",
    "sentence|article|report|author|poem|film|study|clause|passage|summary|translation|version ~1 says|finds|argues|means|reads|warns|follows|followed|asks|is|explains|found|shows",
];

/// Steps of an answer: a sentence that begins with work of the hands.
pub const STEP: &[&str] = &["^<step>", ", then|and|just? <step>"];

/// "Instead of …" before anything else.
pub const SWAP: &[&str] = &["^instead|rather"];

/// What a word means.
pub const MEANING: &[&str] = &[
    "refers|refer to",
    "it|this|that|which involves",
    "is|are the act|process|practice|use|crime",
    "can be defined|described|understood",
    "take|takes|have|has many|several|various|different forms|types|kinds|causes|meanings",
    "crime|offense|offence|act|practice that|in|where|of ~1 which|involves|someone|somebody|deceiving|taking|a",
];

/// What is called no wrong.
pub const CLEARED: &[&str] = &[
    "not|nothing ~6 illegal|wrong|unethical|unlawful|crime|criminal|rude|harmful|dangerous $",
    "not|nothing illegal|wrong|unethical|unlawful|rude|bad|criminal|against",
];
