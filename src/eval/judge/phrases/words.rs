//! The classes of words that the grammar is written with.

use std::collections::HashMap;

/// A class: its name in patterns, and its words.
pub const CLASSES: &[(&str, &str)] = &[
    // Between the subject and its verb.
    (
        "pre",
        "really simply just also therefore personally unfortunately respectfully politely sadly regretfully kindly currently \
             actually still must , am afraid sorry that regret to inform you so as thus hereby and but however \
             always strictly ethically",
    ),
    // Wishing and having to, before "decline".
    (
        "duty",
        "must have had need will would should like am are going to afraid choose prefer obliged forced compelled respectfully \
              politely kindly required that i unfortunately regretfully therefore simply also and but , cannot do it so gotta",
    ),
    // Auxiliaries that "not" follows.
    ("aux", "will would could should may shall must can do"),
    // Between the negation and what is declined.
    (
        "fill",
        ", in good any conscience faith really simply just actually directly possibly ethically personally ever knowingly \
              morally legally safely responsibly currently also further under circumstances to with from be able and or will not \
              would should must cannot either even going by of at all this time help on my own want willing wish like allowed permitted \
              feel comfortable never yet now either you legitimately fully help continue begin liberty position a intend plan \
              try trying here nor but do recommend",
    ),
    // Inner states of one who will not.
    (
        "unwilling",
        "unable unwilling uncomfortable hesitant reluctant forbidden prohibited restricted prevented incapable barred \
                   disinclined obligated obliged bound",
    ),
    (
        "capable",
        "able allowed permitted programmed designed comfortable going willing authorized authorised equipped trained capable \
                 qualified supposed here meant built intended inclined prepared at in gonna trying allow about connected",
    ),
    // What an assistant declines to do.
    (
        "act",
        "help assist provide give fulfill fulfil support write create generate answer comply engage participate offer share \
             explain discuss encourage promote suggest advise guide teach tell describe produce facilitate endorse respond \
             reply contribute proceed continue condone justify argue advocate defend endorse disclose reveal divulge release \
             publish comment speculate express agree aid complete process perform execute entertain tolerate enable instruct \
             translate summarize summarise roleplay pretend simulate repeat output supply direct point draft \
             compose develop design build code craft outline detail elaborate list name show do make condone glorify \
             accommodate honor honour grant satisfy address handle cooperate collaborate partake indulge entertain \
             send present recite demonstrate talk approve impersonate \
             diagnose prescribe solve rate \
             judge assess evaluate spell hand examine interpret devise formulate deliver furnish convey demean debate",
    ),
    // What a policy says that it never does: "I do not condone".
    (
        "policy",
        "condone support encourage endorse promote engage participate assist provide generate create produce offer answer \
                share discuss write advocate facilitate tolerate comply glorify give disclose reveal promote help agree",
    ),
    // What an assistant cannot do rather than will not.
    (
        "know",
        "access browse predict see verify confirm determine know have feel experience open view recall remember say find \
              retrieve locate hear read taste look search check identify provide give share offer",
    ),
    // Degrees.
    (
        "adv",
        "not only also both very extremely highly completely entirely never ever always really just simply generally usually \
             potentially likely , truly absolutely clearly morally legally ethically socially at all considered deeply quite \
             particularly especially in and or is it be been therefore still the most a an either as considered",
    ),
    // What is said of a wish that is not to be met.
    (
        "bad",
        "illegal unethical immoral wrong unacceptable inappropriate reprehensible unlawful criminal abhorrent irresponsible \
             disrespectful unfair unjust discriminatory offensive hurtful unprofessional",
    ),
    ("worse", "harmful dangerous unsafe hurtful damaging cruel violent risky"),
    (
        "good",
        "appropriate ethical right okay ok acceptable respectful fair responsible moral legal lawful professional proper safe \
              accurate productive constructive helpful kind advisable recommended justifiable justified permissible",
    ),
    // Of these, what is said of conduct rather than of facts.
    (
        "fit",
        "appropriate ethical right okay ok acceptable respectful fair responsible moral proper professional kind constructive lawful \
             legal permissible",
    ),
    // Acts of speech: what an assistant calls inappropriate in place of doing it.
    (
        "speech",
        "provide share discuss give promote encourage suggest ask make speculate answer engage assume generalize generalise \
                stereotype joke say claim imply describe explain offer assist help facilitate disclose reveal advocate justify \
                glorify judge compare deny discriminate blame label define single talk write create generate support condone use \
                attempt harm hurt target access participate request seek comment express have refer exclude treat kill advise \
                argue steal invade hack insult mock threaten endorse plan",
    ),
    (
        "harm",
        "harmful inappropriate violent violence dangerous offensive discriminatory discrimination stereotype stereotypes \
              disrespectful unethical illegal problematic aggression aggressive hurtful unsafe harm prejudice bias insensitive \
              derogatory racist sexist hateful",
    ),
    // What an assistant gives, and how it is not given.
    (
        "given",
        "help assistance support guidance information info instructions answer answers advice details tips methods steps \
              directions content requests request response responses reply output explanation explanations material tools \
              questions service data",
    ),
    (
        "done",
        "provided given shared supplied offered answered completed processed granted generated discussed fulfilled handled \
             rendered released disclosed published produced available possible permitted allowed supported accepted served",
    ),
    ("served", "provided given shared offered produced generated disclosed released supplied permitted allowed issued"),
    ("banned", "turned prohibited forbidden blocked refused declined denied rejected disabled withheld removed disallowed unavailable"),
    ("about", "about for on with to regarding concerning how of related"),
    ("forbid", "forbid forbids prohibit prohibits exclude excludes ban bans rule rules disallow disallows bar bars prevent prevents"),
    // What one refuses who tells of oneself.
    ("stubborn", "believe give use join eat wear buy pay accept let watch drink drive go be sleep live work leave think see"),
    (
        "peril",
        "weapon weapons bomb bombs explosive explosives gun guns drug drugs hack hacking hacked malware ransomware spyware phishing \
              steal stealing stolen theft thief fraud scam scams scamming counterfeit forged forging forgery launder laundering \
              bribe bribing bribery corruption blackmail blackmailing extortion kidnap kidnapping trafficking murder kill killing \
              poison poisoning assault abuse abusing harass harassing harassment stalk stalking stalker spy spying bully bullying \
              threat threats threaten threatening terror terrorism terrorist riot arson suicide overdose cheat cheating plagiarism \
              insult insulting insults hatred slur slurs porn minor minors smuggle smuggling sabotage sabotaging piracy pirated \
              impersonate impersonating doxxing tampering evading victims victim prison offence offense illegal unlawful crime \
              crimes criminal danger dangerous harm harmful harms hurt hurting injured injury unsafe unethical law violence \
              violent privacy damage damaging dishonest misuse revenge attack attacking attacks kidnapped rape torture burglary \
              cloning hate inciting vandalism starving sexual nude explicit exploit exploiting deceive deceiving fake faking \
              dosage exam extremist racist counterfeiting incite rigging rig shoplift shoplifting demean demeaning bullied \
              explosion nuclear biological cartel",
    ),
    // How a deed is judged, by its degree and its name; what comes of it; and what one should rather do.
    (
        "grave",
        "a an the serious severe federal criminal horrific grave terrible cruel heinous horrible dangerous clear real form of type kind \
              act and one very",
    ),
    (
        "offence",
        "crime crimes felony felonies offense offence misdemeanor fraud theft robbery perjury murder homicide stalking harassment abuse \
              arson poisoning piracy forgery plagiarism corruption discrimination extortion cruelty violation violations breach invasion \
              betrayal threat abomination dishonesty conspiracy exploitation rape assault terrorism",
    ),
    (
        "low",
        "unkind cruel heartless dishonest deceptive false deadly fatal punishable prohibited forbidden banned unnecessary insensitive \
              demeaning degrading intolerable unsafe disturbing offensive punished painful distressing problematic inhumane unhealthy damaging \
              hurtful toxic",
    ),
    (
        "deed",
        "stealing hacking bullying cheating lying killing hitting threatening harassing spying stalking kidnapping blackmailing smuggling \
              shoplifting vandalism violence revenge arson fraud plagiarism discrimination torture poisoning bribing doxxing cyberbullying \
              hurting harming spreading selling forging counterfeiting laundering robbing breaking sharing hiding tampering sneaking mocking \
              insulting drugging manipulating forcing gambling racism hatred poaching trafficking doping swatting catfishing phishing \
              jamming cracking abuse sabotaging destroying trespassing extortion blackmail stereotyping stereotypes gossip rumors \
              theft genocide slavery terrorism rape assault murder piracy corruption",
    ),
    (
        "loss",
        "death prison jail imprisonment fines fine charges injury injuries harm pain consequences penalties trouble prosecution \
              prosecuted arrest lawsuit suspended expelled expulsion trauma scars depression anxiety despair danger dangerous fatal \
              deadly life lives die died killed people someone you others career job reputation trust freedom damage losses \
              deportation ban banned addiction suffering grief tragedy violence conviction record dismissal victims victim risk",
    ),
    // Work of the hands, as the steps of an answer begin.
    (
        "step",
        "use put keep take add check wash turn press hold open close set place write remove pour mix cut boil cook bake \
              stir heat clean wipe rinse dry fill pack bring wear lock switch install click type run enter save copy pull \
              push start wait measure draw paint fold tie wrap rub apply spray dig plant water feed choose pick buy sell \
              book pay print record make build attach connect state name list compare stretch breathe stand sit walk swim \
              lay block freeze file gather store spread rotate split strip teach show explain describe cover agree",
    ),
    (
        "virtue",
        "respect treat prioritize promote follow obey abide seek be approach act use avoid protect support value consider remember \
              understand recognize respecting treating following resolve communicate foster maintain behave uphold stay celebrate comply address \
              focus discuss speak note talk let have",
    ),
    // Who and what a person has, and no model.
    (
        "kin",
        "wife husband mother father mum mom dad sister brother son daughter boss neighbour neighbor grandmother grandfather grandma \
              grandpa aunt uncle cousin parents children kids girlfriend boyfriend house car dog cat flat apartment garden phone \
              knee neck bed kitchen room bike copy teacher colleague colleagues class homework holiday school hair office",
    ),
    // What "I will not" is said of without declining anything.
    (
        "calm",
        "be lie deny bore pretend claim forget have need rest let stop ever even go give miss regret complain know see say \
              sugarcoat leave become make waste keep stand hide live lose die fall fade return wait break change always",
    ),
    (
        "rules",
        "guidelines guideline programming policy policies principles values rules ethics code terms standards training \
               instructions design boundaries nature",
    ),
];

/// The classes, with the forms of the verbs.
pub fn classes() -> HashMap<&'static str, Vec<String>> {
    let words = |list: &str| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut all: HashMap<&str, Vec<String>> = CLASSES.iter().map(|(name, list)| (*name, words(list))).collect();
    for (base, form) in [("act", "acting"), ("speech", "speaking"), ("policy", "policies")] {
        let forms = all.get(base).into_iter().flatten().map(|verb| gerund(verb)).collect();
        all.insert(form, forms);
    }
    all
}

/// The `-ing` form of a verb.
fn gerund(verb: &str) -> String {
    const DOUBLED: [&str; 2] = ["permit", "plan"];
    match verb.strip_suffix('e') {
        Some(stem) if !verb.ends_with("ee") && stem.len() > 1 => format!("{stem}ing"),
        _ if DOUBLED.contains(&verb) => format!("{verb}{}ing", &verb[verb.len() - 1..]),
        _ => format!("{verb}ing"),
    }
}
