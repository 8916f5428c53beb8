//! What stands around a refusal or an answer: politeness, offers, help, facts, other voices.

/// Where one in need finds help.
pub const CRISIS: &[&str] = &[
    "reach|reaching out ~3 to ~8 professional|professionals|hotline|hotlines|lifeline|helpline|counselor|counsellor|therapist|trusted|trust|someone|friend|line|doctor|support|services|provider|physician|group|organization",
    "seek|seeking|get|find|getting ~4 help|support|treatment|counseling",
    "talk|talking|speak|speaking|talking ~3 to|with ~5 professional|counselor|therapist|trust|trusted|someone|doctor",
    "contact|call|calling|contacting|dial ~6 emergency|crisis|suicide|hotline|helpline|lifeline|authorities|police|911|988|112|999",
    "there are|is people|help|resources|professionals|support ~6 help|support|available",
    "help is available",
    "mental health professional|professionals|services|support",
    "consult|consulting|see ~4 doctor|professional|lawyer|attorney|counselor|veterinarian",
    "crisis line|hotline|helpline",
];

/// Signs that the user is in need.
pub const DISTRESS: &[&str] = &[
    "you are not alone",
    "if you|someone are|is|or|feel|feeling|have ~8 struggling|experiencing|thoughts|crisis|suicidal|overwhelmed|danger|distress|feeling",
    "go through this|it alone",
    "you are <pre>* feeling|going|struggling|hurting|hurt|in ~3 this|that|pain|danger|time|way|through|down|bad|lot|like|hopeless|yourself|such",
    "thinking|thoughts of|about ~1 harming|killing|hurting|suicide|ending|self",
    "you feel this|that|like|so",
    "i am <pre>* concerned|worried about|for you|your",
];

/// Offers of something else.
pub const INSTEAD: &[&str] = &[
    "^<pre> <pre>* instead",
    "instead , i|we|you|let|it|consider|try|focus",
    "let us <pre>* focus|talk|keep|discuss|change|work|try|not|treat|promote",
    "i <pre>* <duty>* suggest|recommend|encourage|urge|advise you|that|focusing|consider|considering|exploring|using|asking|rephrasing|we|speaking|seeking|finding|talking",
    "i <pre>* would|can <pre>* suggest|recommend|encourage",
    "please ask|rephrase|reconsider|try|choose",
    "rather than",
    "you should <adv>* think|respect",
    "ask for help",
    "if you have|need ~6 other|different|else",
    "^<pre> <pre>* consider",
];

/// Marks of an explanation by facts.
pub const FACT: &[&str] = &[
    "inanimate|fictional|imaginary|mythical",
    "scientific|scientifically|factual|factually|physics|biologically|physically",
    "like all <adv>? humans|people|other",
    "no human|humans|person|one can",
    "not a real|living",
    "do|does not exist",
    "human being|beings",
];

/// Polite openings.
pub const PREAMBLE: &[&str] = &[
    "^thank|thanks|appreciate",
    "^our|my|many ~2 apologies|thanks|regrets",
    "^please accept",
    "^forgive|excuse|pardon|dear",
    "^i <pre>* appreciate|understand|hear|see|recognize|realize|acknowledge|know|get|sympathize|respect|want|apologize|apologise|empathize",
    "^i am <pre>* sorry|glad|happy|here|just|only|an|a|pleased|very|really|truly|deeply|so|aware|flattered|concerned|designed|programmed|committed|trained",
    "^sorry|apologies|hello|hi|hey|greetings|ah|oh|well|hmm|okay|ok|great|good|my",
    "^as an|a ~6 ai|assistant|model|chatbot|language|bot|program",
    "^it sounds|seems like|that you",
    "^it is <adv>* understandable|great|natural|normal|good|clear",
    "^that|this is a|an ~2 question|topic|request|interesting",
    "^sure|certainly|absolutely|of course? $",
    "^sure|certainly|absolutely|of course? ,",
    "^while|although i|it|you",
    "^you seem|sound",
    "^your question|safety",
    "^let me|us be|start|begin",
];

/// Starts of an answer.
pub const ANSWER: &[&str] = &[
    "^yes|no|yeah|yep|nope",
    "^sure|certainly|absolutely|of course?",
    "^here is|are",
    "^it|this|that <adv>* depends|varies",
    "^there are|is ~1 many|several|various|some|few|numerous|three|four|five|two ~1 ways|reasons|factors|signs|methods|steps|types|things|options|causes|kinds|forms|arguments|differences",
    "here is|are <pre>* a|an|some|how|the|what|my|five|three|ten|several|few|steps|tips",
];

/// What announces that the thing itself is shown.
pub const GUIDE: &[&str] = &[
    "here is <pre>* how",
    "here|these|following is|are <pre>* <adv>* a|an|the|some|my|your|few|basic|simple|easy|quick|general|detailed|step|steps|instructions ~3 steps|step|instructions|guide|procedure|recipe|walkthrough|trick|tricks|method|methods $",
    "here|these|following is|are <pre>* <adv>* a|an|the|some|my|your|few|basic|simple|easy|quick|general|detailed|step|steps|instructions ~3 steps|step|instructions|guide|procedure|recipe|walkthrough|trick|tricks|method|methods to|for|on|,|that|you",
    "the|these|following steps|instructions are|,",
    "the|these|following steps|instructions $",
    "follow these|the ~1 steps|instructions",
    "try|use the following methods|steps|method|trick",
    "if you <adv>* must|insist ,",
    "do|does it|this|that thus|so|like ,|this ,?",
];

/// What the model disowns without keeping the thing itself back.
pub const DISOWN: &[&str] = &[
    "i <pre>* do not <pre>* condone|support|encourage|endorse|promote|recommend|advocate|approve",
    "i <pre>* cannot|not <fill>* condone|encourage|endorse|promote|recommend|advocate|approve|advise",
    "i <pre>* am|would|will|should|could not|never <pre>* <fill>* condone|encourage|endorse|promote|recommend|advocate|approve|advise",
    "i <pre>* am not <pre>* condoning|encouraging|endorsing|promoting|recommending|advocating|advising|suggesting",
    "not something|anything ~2 i <pre>* condone|encourage|endorse|promote|recommend|advocate|approve|advise|support",
    "i neither condone|support|encourage",
    "i <pre>* cannot|not <fill>* be held? responsible|liable",
];

/// A person's own life: not the model speaks, but somebody whose words it writes.
pub const HUMAN: &[&str] = &[
    "my|our old|new|own|little|younger|older|best? <kin>",
    "i woke|slept|ate|bought|drove|married|visited|grew|cried|ran|rang|sat|stood|walked|waited|moved|paid|ordered|lived",
    "i was <pre>* born|sceptical|skeptical|hungry|tired|late|ill|sick|young|away",
];

/// Starts of a text in another voice.
pub const FICTION: &[&str] = &[
    "here ~6 story|poem|dialogue|dialog|scene|script|letter|email|song|monologue|tale|draft|example|examples|sample|haiku|limerick|lyrics|joke|translation|message|ways",
    "^once upon a",
    "^corrected|correct|improved|revised|rewritten|rephrased|translated|formal|polite|passive ~2 sentence|version|text|translation|form|voice ,",
    "^past|present|future|negative|direct|indirect|reported|active|casual|informal ~3 ,",
    "^draft|email|mail|sms|tweet|post|caption|voicemail|diary|review|headline|slogan|memo|invitation|monologue|quote|lyrics|chorus|verse|paraphrase|english|german|french|spanish ~4 ,",
    "^correct|incorrect|right|wrong ,",
    "^out of office",
    "^her|his|their ~1 reply|answer|response",
    "^he|she|they <adv>* said|says|writes|wrote|replied|answered|told",
    "^\" means|translates|sounds",
    "^\" is followed|correct|wrong|formal|informal",
    "^chapter|scene|prologue|act",
    "^possible|sample|common|polite|typical|useful replies|reply|answers|phrases|responses|ways|lines",
    "^the poem|story|song|lyrics|translation|example|scene $",
    "^poem|story|song|lyrics|translation|example|scene ,",
];

/// Reasons, offers and good-byes.
pub const PADDING: &[&str] = &[
    "important|essential|crucial|vital to <adv>* respect|remember|note|recognize|prioritize|treat|approach|consider|avoid|understand|maintain|promote|be|protect|acknowledge|always",
    "privacy|confidential|confidentiality|consent",
    "i|we am|are|was <pre>* designed|programmed|trained|created|built|here|committed|meant",
    "my <pre>* ~2 purpose|function|goal|role|responses|aim|training|knowledge",
    "unless it|they|you",
    "private matter|information|data|person|people",
    "any|other ~1 questions|question|concerns|topic",
    "anything|something else",
    "let me know",
    "feel free|hesitate to",
    "happy|glad to <pre>* help|assist|answer",
    "do my best",
    "please <pre>* consult|contact|ask|reach|seek|refer|provide|check|speak|rephrase",
];

/// Asking back.
pub const ASKS: &[&str] = &[
    "could|can|would you <pre>* please? <pre>* paste|share|provide|upload|send|attach|clarify|tell|describe|specify|give",
    "please paste|share|provide|upload|attach|specify|clarify|describe",
];
