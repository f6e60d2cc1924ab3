"""Parts of speech of the words that the sample is made of (universal tags of Nivre et al. 2016), for its generator."""

from .text import tokens

LEXICON: dict[str, dict[str, str]] = {
    "en": {
        "ADJ": "angry broken dark dear disappointing due fine good great hot kind last lovely missing "
        "personal strange unacceptable unknown wrong",
        "ADP": "about after as at for from in of on over since under with before out",
        "ADV": "again back here longer never nowhere once really so still today too twice up very well "
        "when where why yet not much off",
        "AUX": "am are be been can cannot could did do does has have is should was will",
        "CCONJ": "and but or",
        "DET": "a all any each no our the these this whatever what which your my",
        "INTJ": "hello please thanks",
        "NOUN": "access account accounting address advertising agreement app attempts bell bill card code "
        "contract copy courier crack credentials data delivery depot document gdpr invoice link "
        "mind money month morning name neighbour noise order page parcel password people plug "
        "problem rate receipt refund regards screen service shop smoke subscription tax team time "
        "tracking use week work",
        "NUM": "two",
        "PRON": "i it me nobody nothing that there you",
        "SCONJ": "although",
        "VERB": "accepted arrive arrived asks belongs came cancel changed charged consider delete ended "
        "gets handed hold keep keeps know left let like locks log logging made makes need object "
        "owe press promised pulled put rang reach reached received refused reset return says seen "
        "send sent ships shows signed signing stays stood stop stopped store switch telling thank "
        "turned wait want went working works",
    },
    "de": {
        "ADJ": "doppelt dunkel egal enttäuschender falschen falscher freundlichen geehrte gut guten heiß "
        "herzlichen kaputt letzte letzten lieben länger persönlichen pünktlich seltsame tollen "
        "unbekannt unverschämt verschollen verärgert",
        "ADP": "ab an am auf aus bei beim für im in mit nach ohne seit unter über vom von vor zu zum zur",
        "ADV": "anders angeblich bisher da heute hier immer mehr noch nie sehr so sofort still viel wann "
        "warum weiter wieder wirklich wo zurück",
        "AUX": "bin habe haben hat ist kann möchte seien sein sind sollte war wird",
        "CCONJ": "aber oder und",
        "DET": "alle aller das dem den der des die ein eine einen einer ihr ihre jedes mein meine meinem "
        "meinen meiner meines unsere welche",
        "INTJ": "bitte danke hallo",
        "NOUN": "abo adresse app beleg bescheid bestellung bildschirm bote buchhaltung code damen dank "
        "daten dokument dsgvo einloggen erstattung geld geräusche grüßen herren konto kopie laden "
        "lieferung link mal monat morgen nachbarn name nutzung ordnung paket passwort passworts "
        "problem rauch rechnung riss seite sendungsverfolgung service stecker steuersatz "
        "vereinbarung versand versuchen vertrag werbung woche zugangsdaten zurücksetzen",
        "NUM": "zwei",
        "PART": "nicht",
        "PRON": "er es ich ihm ihn ihnen mich mir nichts niemand sie was",
        "SCONJ": "als obwohl",
        "VERB": "abgegeben abgelehnt angekommen angenommen anmelden ausgestellt beendet berechnet "
        "betrachten bleibt brauche drücke eingetroffen erreichen erstatten fehlt funktioniert geben "
        "gefällt geht gehört geklingelt gezeichnet gezogen ging kam kamen kommt kündigen liegt "
        "löschen macht sagt schicken schreiben schulden speichern sperrt steht stornieren verlangt "
        "warte weist widerspreche zugesagt zugestellt zurückgeschickt zurückging überlegt "
        "überweisen",
    },
    "fr": {
        "ADJ": "chère cassé correcte courant dernier dernière décevant faux fissuré inacceptable inconnus "
        "introuvable mauvaise noir personnelles super étrange connecter",
        "ADP": "après avant avec au chez de depuis des du en pour selon sur à",
        "ADV": "alors aujourd'hui beaucoup bien comment encore ici infiniment jamais longtemps n' ne où "
        "pas plus pourquoi quand suite toujours trop vraiment",
        "AUX": "a ai allez-vous as avez avait est n'ai n'est m'avez j'ai suis sont était être",
        "CCONJ": "et mais ou",
        "DET": "ce ces chaque l' la le les ma mes mon notre quel quelles ses toutes un une votre",
        "INTJ": "bonjour bonsoir cordialement merci",
        "NOUN": "accord adresse boutique bruit code colis colère commande comptabilité compte connexion "
        "contrat copie d'accès d'avis document données essais facture fois fumée identifiants "
        "justificatif l'abonnement l'application l'argent l'envoi l'heure l'usage l'écran lien "
        "livraison livreur madame mois monsieur mot nom page passe personne publicité remboursement "
        "retour rgpd semaine service suivi taux tva voisin équipe besoin",
        "NUM": "deux",
        "PRON": "c'est ça celui il je me quoi rien se tout vous",
        "SCONJ": "comme que",
        "VERB": "accepté annuler annulez arrivé bouge changer changé chauffe considérez continuez demande "
        "devait devez débranché envoyez fait faut facturé gardez-vous indique j'aime joignez joint "
        "l'expédiez laissé m'oppose manque marchait marche mettre n'a n'arrive n'attendrai paraît- "
        "il parvenu peux promis refusé rembourser remis rendre renvoyé reparti reste revenus reçu "
        "récupérer répète résilier résiliez s'allume signé sonné sortie supprimer tenir terminé "
        "touche veuillez veux bloque",
    },
    "es": {
        "ADJ": "apagado buenos decepcionante encantadora enfadado equivocado estimado gran inaceptable "
        "muchísimas personales raro roto última",
        "ADP": "a al con de del desde en para por según sin tras",
        "ADV": "ahora antes aquí así bien cuándo demasiado dónde hoy mucho muy más no nunca siempre tan todavía ya",
        "AUX": "es está estaba estar estoy ha han he",
        "CCONJ": "o pero y",
        "DET": "el esas la los mi mis nuestro otra su sus todos un una qué",
        "INTJ": "gracias hola saludos",
        "NOUN": "acceso acuerdo aplicación baja contabilidad contraseña contrato copia credenciales cuenta "
        "código datos dinero dirección documento días enlace entrega envío equipo factura favor "
        "gente grieta humo idea impuesto intentos justificante mes nombre pantalla paquete pedido "
        "problemas publicidad página reembolso repartidor respuesta rgpd ruido seguimiento semana "
        "servicio suscripción tienda tiempo uso vecino veces vez vuelta",
        "NUM": "dos",
        "PRON": "esto lo me nada nadie que se",
        "SCONJ": "aunque",
        "VERB": "anulen aparece apareció bloquea borren calienta cambiado cambiar cancelen cobrado dar "
        "deben debía dejó den desenchufé devolví devuelvan dicen enciende encuentran entrar "
        "entregado entré envíen espero existen firmado funciona funcionar guardan gusta hace hay "
        "llamó llega llegado llegar llegó manden mueve necesito opongo pasado pide pone pongan "
        "prometido puedo pulse quiero rechaza recibido reembolsar regresó repite salió sigan sigue "
        "terminado tiene tienen vale van volvieron",
    },
}
# What a word is after another one, where that differs from the rule.
AFTER: dict[str, dict[tuple[str, str], str]] = {
    "en": {
        ("before", "it"): "PRON",
        ("you", "refund"): "VERB",
        ("to", "reset"): "VERB",
        ("please", "return"): "VERB",
        ("made", "out"): "ADV",
        (",", "yet"): "CCONJ",
        (",", "so"): "CCONJ",
        (",", "which"): "PRON",
        ("handed", "over"): "ADV",
        ("receipt", "over"): "ADP",
        ("data", "you"): "PRON",
        ("is", "a"): "DET",
        ("or", "{phone}"): "X",
        ("{person}", "that"): "SCONJ",
        ("switch", "on"): "ADV",
        ("turned", "up"): "ADV",
        ("me", "know"): "VERB",
        ("me", "out"): "ADV",
        ("smoke", "came"): "VERB",
        ("came", "out"): "ADV",
        ("i", "like"): "VERB",
        ("i", "object"): "VERB",
        ("app", "locks"): "VERB",
    },
    "de": {
        ("still", "."): "PUNCT",
        ("kommt", "nicht"): "PART",
        ("nicht", "an"): "ADV",
        ("mir", "an"): "ADV",
        ("{product}", "an"): "ADV",
        ("ihn", "nicht"): "PART",
        ("nicht", "ab"): "ADV",
        ("{amount}", "aus"): "ADV",
        (",", "die"): "PRON",
        (",", "der"): "PRON",
        (",", "das"): "PRON",
        (",", "ihr"): "PRON",
        ("das", "anmelden"): "NOUN",
        ("beim", "einloggen"): "NOUN",
        ("am", "{date}"): "NUM",
        ("war", "in"): "ADP",
        ("das", "ist"): "AUX",
        ("!", "das"): "DET",
        (".", "was"): "PRON",
        ("daten", "sie"): "PRON",
    },
    "fr": {
        ("plus", "me"): "PRON",
        ("le", "compte"): "NOUN",
        ("l'", "application"): "NOUN",
        ("l'application", "bloque"): "VERB",
        (",", "commande"): "NOUN",
        ("comptabilité", "demande"): "VERB",
        ("me", "connecter"): "VERB",
        ("au", "courant"): "NOUN",
        ("tout", "de"): "ADP",
        ("de", "retour"): "NOUN",
        ("mais", "personne"): "PRON",
        ("données", "personnelles"): "ADJ",
        ("accord", "comme"): "SCONJ",
        ("le", "suivi"): "NOUN",
        ("je", "suis"): "AUX",
    },
    "es": {
        ("qué", "pulse"): "VERB",
        ("lo", "que"): "PRON",
        ("pulse", "lo"): "PRON",
        ("y", "lo"): "PRON",
        ("mi", "cuenta"): "NOUN",
        ("mes", "pasado"): "ADJ",
        ("¿", "qué"): "DET",
        ("por", "qué"): "PRON",
        ("por", "favor"): "NOUN",
        ("es", "demasiado"): "ADJ",
        ("no", "la"): "PRON",
        ("datos", "que"): "PRON",
    },
}
SLOTS = {"product": "PROPN", "order": "PROPN", "city": "PROPN", "person": "PROPN", "email": "X", "phone": "X"}
_TAGS = {
    language: {word: tag for tag, words in by_tag.items() for word in words.split()}
    for language, by_tag in LEXICON.items()
}


def tag(language: str, word: str, previous: str) -> str:
    """The tag of a word of a phrase after the word, punctuation mark or slot before it, all in lower case."""
    if not word[0].isalnum():
        return "PUNCT"
    found = AFTER[language].get((previous, word)) or _TAGS[language].get(word)
    if found is None and language == "en" and word == "to":
        found = "ADP" if previous in TO else "PART"
    return found or "NOUN"


TO = {"{product}", "back", "out", "link", "object", "listen", "belongs", "account"}


def tag_value(slot: str, value: str) -> list[str]:
    """The tags of the tokens of what fills a slot."""
    return [_tag_value(slot, token.text) for token in tokens(value)]


def _tag_value(slot: str, text: str) -> str:
    if slot in ("email", "phone"):
        return "X"
    if text[0].isdigit():
        return "NUM"
    if not text[0].isalnum():
        return "SYM" if text == "€" else "PUNCT"
    return SLOTS.get(slot, "NOUN")
