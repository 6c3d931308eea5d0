"""Which words of a question say what it asks for. Pure.

In an index of several languages, ``der`` and ``what`` are as rare as the words that a question is
about, so BM25 would look for pages in its language. They are left out of the text part of a hybrid
search: on the demo's 30 questions in five languages, BM25 finds 30 pages first without them, and
28 with them.

A word of one language may be an important word of another (``war``), so the words of only one
language are left out: the language that most words of the question belong to.
"""

from __future__ import annotations

from functools import cache

from vdr_integrations.index.scoring.words import words_of

__all__ = ["main_words"]

# The lists of the Snowball stemmers (BSD licence), with their accents folded as `words_of` folds
# them, and the words that questions begin with.
_STOP_WORDS = {
    "English": (
        "a about above after again against ain all am an and any are aren as at be because been "
        "before being below between both but by can could couldn d did didn do does doesn doing "
        "don down during each few for from further had hadn has hasn have haven having he her "
        "here hers herself him himself his how i if in into is isn it its itself just ll m ma "
        "many may me might mightn more most much must mustn my myself needn no nor not now o of "
        "off on once only or other our ours ourselves out over own re s same shan she should "
        "shouldn so some such t than that the their theirs them themselves then there these they "
        "this those through to too under until up ve very was wasn we were weren what when where "
        "which while who whom whose why will with won would wouldn y you your yours yourself "
        "yourselves"
    ),
    "German": (
        "aber alle allem allen aller alles als also am an ander andere anderem anderen anderer "
        "anderes anderm andern anderr anders auch auf aus bei bin bis bist da damit dann das dass "
        "dasselbe dazu dein deine deinem deinen deiner deines dem demselben den denn denselben "
        "der derer derselbe derselben des desselben dessen dich die dies diese dieselbe dieselben "
        "diesem diesen dieser dieses dir doch dort du durch ein eine einem einen einer eines "
        "einig einige einigem einigen einiger einiges einmal er es etwas euch euer eure eurem "
        "euren eurer eures fur gegen gewesen hab habe haben hat hatte hatten hier hin hinter ich "
        "ihm ihn ihnen ihr ihre ihrem ihren ihrer ihres im in indem ins ist jede jedem jeden "
        "jeder jedes jene jenem jenen jener jenes jetzt kann kein keine keinem keinen keiner "
        "keines konnen konnte machen man manche manchem manchen mancher manches mein meine meinem "
        "meinen meiner meines mich mir mit muss musste nach nicht nichts noch nun nur ob oder "
        "ohne sehr sein seine seinem seinen seiner seines selbst sich sie sind so solche solchem "
        "solchen solcher solches soll sollte sondern sonst uber um und uns unser unsere unserem "
        "unseren unseres unter viel viele vom von vor wahrend wann war waren warst warum was weg "
        "weil weiter welche welchem welchen welcher welches wem wen wenn wer werde werden wie "
        "wieder will wir wird wirst wo wollen wollte wurde wurden zu zum zur zwar zwischen"
    ),
    "French": (
        "a ai aie aient aies ait as au aura aurai auraient aurais aurait auras aurez auriez "
        "aurions aurons auront aux avaient avais avait avec avez aviez avions avons ayant ayante "
        "ayantes ayants ayez ayons c ce ces combien comment d dans de des du elle en es est et "
        "etaient etais etait etant etante etantes etants ete etee etees etes etiez etions eu eue "
        "eues eumes eurent eus eusse eussent eusses eussiez eussions eut eutes eux fumes furent "
        "fus fusse fussent fusses fussiez fussions fut futes il ils j je l la le les leur lui m "
        "ma mais me meme mes moi mon n ne nos notre nous on ont ou par pas pour pourquoi qu quand "
        "que quel quelle quelles quels qui quoi s sa se sera serai seraient serais serait seras "
        "serez seriez serions serons seront ses soient sois soit sommes son sont soyez soyons "
        "suis sur t ta te tes toi ton tu un une vos votre vous y"
    ),
    "Spanish": (
        "a al algo algunas algunos ante antes como con contra cual cuales cuando cuanta cuantas "
        "cuanto cuantos de del desde donde durante e el ella ellas ellos en entre era erais "
        "eramos eran eras eres es esa esas ese eso esos esta estaba estabais estabamos estaban "
        "estabas estad estada estadas estado estados estais estamos estan estando estar estara "
        "estaran estaras estare estareis estaremos estaria estariais estariamos estarian estarias "
        "estas este esteis estemos esten estes esto estos estoy estuve estuviera estuvierais "
        "estuvieramos estuvieran estuvieras estuvieron estuviese estuvieseis estuviesemos "
        "estuviesen estuvieses estuvimos estuviste estuvisteis estuvo fue fuera fuerais fueramos "
        "fueran fueras fueron fuese fueseis fuesemos fuesen fueses fui fuimos fuiste fuisteis ha "
        "habeis habia habiais habiamos habian habias habida habidas habido habidos habiendo habra "
        "habran habras habre habreis habremos habria habriais habriamos habrian habrias han has "
        "hasta hay haya hayais hayamos hayan hayas he hemos hube hubiera hubierais hubieramos "
        "hubieran hubieras hubieron hubiese hubieseis hubiesemos hubiesen hubieses hubimos "
        "hubiste hubisteis hubo la las le les lo los mas me mi mia mias mio mios mis mucho muchos "
        "muy nada ni no nos nosotras nosotros nuestra nuestras nuestro nuestros o os otra otras "
        "otro otros para pero poco por porque que quien quienes se sea seais seamos sean seas "
        "sentid sentida sentidas sentido sentidos sera seran seras sere sereis seremos seria "
        "seriais seriamos serian serias si siente sin sintiendo sobre sois somos son soy su sus "
        "suya suyas suyo suyos tambien tanto te tendra tendran tendras tendre tendreis tendremos "
        "tendria tendriais tendriamos tendrian tendrias tened teneis tenemos tenga tengais "
        "tengamos tengan tengas tengo tenia teniais teniamos tenian tenias tenida tenidas tenido "
        "tenidos teniendo ti tiene tienen tienes todo todos tu tus tuve tuviera tuvierais "
        "tuvieramos tuvieran tuvieras tuvieron tuviese tuvieseis tuviesemos tuviesen tuvieses "
        "tuvimos tuviste tuvisteis tuvo tuya tuyas tuyo tuyos un una uno unos vosotras vosotros "
        "vuestra vuestras vuestro vuestros y ya yo"
    ),
    "Italian": (
        "a abbia abbiamo abbiano abbiate ad agl agli ai al all alla alle allo anche avemmo avendo "
        "avesse avessero avessi avessimo aveste avesti avete aveva avevamo avevano avevate avevi "
        "avevo avra avrai avranno avrebbe avrebbero avrei avremmo avremo avreste avresti avrete "
        "avro avuta avute avuti avuto c che chi ci coi col come con contro cosa cui da dagl dagli "
        "dai dal dall dalla dalle dallo degl degli dei del dell della delle dello di dov dove e "
        "ebbe ebbero ebbi ed era erano eravamo eravate eri ero essendo faccia facciamo facciano "
        "facciate faccio facemmo facendo facesse facessero facessi facessimo faceste facesti "
        "faceva facevamo facevano facevate facevi facevo fai fanno fara farai faranno farebbe "
        "farebbero farei faremmo faremo fareste faresti farete faro fece fecero feci fosse "
        "fossero fossi fossimo foste fosti fu fui fummo furono gli ha hai hanno ho i il in io l "
        "la le lei li lo loro lui ma mi mia mie miei mio ne negl negli nei nel nell nella nelle "
        "nello noi non nostra nostre nostri nostro o per perche piu quale quali quando quanta "
        "quante quanti quanto quella quelle quelli quello questa queste questi questo sara sarai "
        "saranno sarebbe sarebbero sarei saremmo saremo sareste saresti sarete saro se sei si sia "
        "siamo siano siate siete sono sta stai stando stanno stara starai staranno starebbe "
        "starebbero starei staremmo staremo stareste staresti starete staro stava stavamo stavano "
        "stavate stavi stavo stemmo stesse stessero stessi stessimo steste stesti stette stettero "
        "stetti stia stiamo stiano stiate sto su sua sue sugl sugli sui sul sull sulla sulle "
        "sullo suo suoi ti tra tu tua tue tuo tuoi tutti tutto un una uno vi voi vostra vostre "
        "vostri vostro"
    ),
}


def main_words(text: str) -> str:
    """The words of a question without those that say nothing, as one text.

    A question that has no other words keeps all of them.
    """
    words = words_of(text)
    most = max(_lists(), key=lambda known: sum(word in known for word in words))
    return " ".join([word for word in words if word not in most] or words)


@cache
def _lists() -> tuple[frozenset[str], ...]:
    return tuple(frozenset(words.split()) for words in _STOP_WORDS.values())
