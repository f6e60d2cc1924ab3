"""The sentences that the generated sample is made of: language → what about → wordings.

Words in braces stand for things that are drawn: {product}, {order}, {date}, {city}, {amount} and {person} are the
entities of a ticket, {email} and {phone} are contact data. The last UNSEEN wordings of each intent are kept for
the hard test file.
"""

UNSEEN = 2

INTENTS: dict[str, dict[str, list[str]]] = {
    "en": {
        "delivery": [
            "My {product} from order {order} has not arrived yet.",
            "Where is the parcel with the {product}? It should have reached {city} on {date}.",
            "The tracking of order {order} has stood still since {date}.",
            "The courier left the {product} at the wrong address in {city}.",
            "Nothing has turned up here in {city}, although you promised the {product} for {date}.",
            "It says handed over on {date}, but nobody rang the bell and order {order} is nowhere to be seen.",
        ],
        "refund": [
            "I sent the {product} back on {date} and want my {amount} back.",
            "When will you refund the {amount} for order {order}?",
            "Please return the money for the {product}, I have not received the {amount}.",
            "The refund of {amount} is still missing on my account.",
            "The {product} has been with you again since {date}, yet the {amount} never came back to my card.",
            "You owe me {amount} for the {product} that went back to your depot in {city}.",
        ],
        "invoice": [
            "The invoice for order {order} shows {amount}, which is too much.",
            "I need a copy of the bill for the {product} of {date}.",
            "Please put the name {person} on the invoice of order {order}.",
            "You charged me {amount} twice for the {product}.",
            "Accounting asks for a receipt over {amount} made out to {person}.",
            "There is a wrong tax rate on the document that came with order {order}.",
        ],
        "login": [
            "I cannot log in to my account since {date}.",
            "My password is no longer accepted, the account belongs to {person}.",
            "The link to reset the password does not arrive.",
            "The app locks me out of my account after two attempts.",
            "Your page keeps telling {person} that these credentials are unknown.",
            "Since {date} the code for signing in is refused each time.",
        ],
        "defect": [
            "The {product} is broken, it does not switch on.",
            "My {product} of {date} makes a strange noise and gets hot.",
            "The screen of the {product} has a crack, order {order}.",
            "After a week the {product} stopped working.",
            "Whatever I press, the {product} stays dark.",
            "Smoke came out of the {product} on {date}, so I pulled the plug.",
        ],
        "cancel": [
            "Please cancel order {order} before it ships.",
            "I want to cancel the subscription for the {product} at once.",
            "I no longer need the {product}, stop order {order}.",
            "Cancel my contract as of {date}, the name is {person}.",
            "I have changed my mind about the {product}, do not send it.",
            "Consider our agreement ended on {date}; signed, {person}.",
        ],
        "privacy": [
            "Please delete all data you hold about {person}.",
            "Which personal data of {person} do you store, and why?",
            "I object to the use of my data for advertising.",
            "Send {person} a copy of all personal data under the GDPR.",
        ],
    },
    "de": {
        "delivery": [
            "Mein {product} aus der Bestellung {order} ist noch nicht angekommen.",
            "Wo bleibt das Paket mit dem {product}? Es sollte am {date} in {city} sein.",
            "Die Sendungsverfolgung der Bestellung {order} steht seit {date} still.",
            "Der Bote hat das Paket mit dem {product} an der falschen Adresse in {city} abgegeben.",
            "Hier in {city} ist nichts eingetroffen, obwohl der {product} für {date} zugesagt war.",
            "Angeblich am {date} zugestellt, aber niemand hat geklingelt, {order} ist verschollen.",
        ],
        "refund": [
            "Ich habe den {product} am {date} zurückgeschickt und möchte meine {amount} zurück.",
            "Wann erstatten Sie die {amount} für Bestellung {order}?",
            "Bitte überweisen Sie das Geld für den {product}, die {amount} sind nicht da.",
            "Die Erstattung von {amount} fehlt noch auf meinem Konto.",
            "Der {product} liegt seit {date} wieder bei Ihnen, die {amount} kamen nie bei mir an.",
            "Sie schulden mir {amount} für den {product}, der nach {city} zurückging.",
        ],
        "invoice": [
            "Die Rechnung zur Bestellung {order} weist {amount} aus, das ist zu viel.",
            "Ich brauche eine Kopie der Rechnung für den {product} vom {date}.",
            "Bitte schreiben Sie {person} auf die Rechnung der Bestellung {order}.",
            "Sie haben mir {amount} für den {product} doppelt berechnet.",
            "Die Buchhaltung verlangt einen Beleg über {amount}, ausgestellt auf {person}.",
            "Auf dem Dokument zu {order} steht ein falscher Steuersatz.",
        ],
        "login": [
            "Ich kann mich seit {date} nicht in meinem Konto anmelden.",
            "Mein Passwort wird nicht mehr angenommen, das Konto gehört {person}.",
            "Der Link zum Zurücksetzen des Passworts kommt nicht an.",
            "Die App sperrt mein Konto nach zwei Versuchen.",
            "Ihre Seite sagt {person} immer wieder, die Zugangsdaten seien unbekannt.",
            "Seit {date} wird der Code beim Einloggen jedes Mal abgelehnt.",
        ],
        "defect": [
            "Der {product} ist kaputt, er geht nicht an.",
            "Mein {product} vom {date} macht seltsame Geräusche und wird heiß.",
            "Der Bildschirm des {product} hat einen Riss, Bestellung {order}.",
            "Nach einer Woche funktioniert der {product} nicht mehr.",
            "Egal was ich drücke, der {product} bleibt dunkel.",
            "Am {date} kam Rauch aus dem {product}, da habe ich den Stecker gezogen.",
        ],
        "cancel": [
            "Bitte stornieren Sie die Bestellung {order} vor dem Versand.",
            "Ich möchte das Abo für den {product} sofort kündigen.",
            "Ich brauche den {product} nicht mehr, stornieren Sie {order}.",
            "Kündigen Sie meinen Vertrag zum {date}, der Name ist {person}.",
            "Ich habe es mir mit dem {product} anders überlegt, schicken Sie ihn nicht ab.",
            "Betrachten Sie unsere Vereinbarung am {date} als beendet, gezeichnet {person}.",
        ],
        "privacy": [
            "Bitte löschen Sie alle Daten, die Sie über {person} haben.",
            "Welche persönlichen Daten von {person} speichern Sie und warum?",
            "Ich widerspreche der Nutzung meiner Daten für Werbung.",
            "Schicken Sie {person} eine Kopie aller Daten nach der DSGVO.",
        ],
    },
    "fr": {
        "delivery": [
            "Mon {product} de la commande {order} n'est pas encore arrivé.",
            "Où est le colis avec le {product} ? Il devait être à {city} le {date}.",
            "Le suivi de la commande {order} ne bouge plus depuis le {date}.",
            "Le livreur a laissé le colis du {product} à une mauvaise adresse à {city}.",
            "Rien n'est parvenu ici à {city}, alors que le {product} était promis pour le {date}.",
            "Remis le {date}, paraît-il, mais personne n'a sonné et {order} reste introuvable.",
        ],
        "refund": [
            "J'ai renvoyé le {product} le {date} et je veux récupérer mes {amount}.",
            "Quand allez-vous rembourser les {amount} de la commande {order} ?",
            "Merci de rendre l'argent du {product}, je n'ai pas reçu les {amount}.",
            "Le remboursement de {amount} manque toujours sur mon compte.",
            "Le {product} est de retour chez vous depuis le {date}, mais les {amount} ne sont jamais revenus.",
            "Vous me devez {amount} pour le {product} reparti à {city}.",
        ],
        "invoice": [
            "La facture de la commande {order} indique {amount}, c'est trop.",
            "Il me faut une copie de la facture du {product} du {date}.",
            "Veuillez mettre le nom {person} sur la facture de la commande {order}.",
            "Vous m'avez facturé deux fois {amount} pour le {product}.",
            "La comptabilité demande un justificatif de {amount} au nom de {person}.",
            "Le taux de TVA est faux sur le document joint à {order}.",
        ],
        "login": [
            "Je ne peux plus me connecter à mon compte depuis le {date}.",
            "Mon mot de passe n'est plus accepté, le compte est celui de {person}.",
            "Le lien pour changer le mot de passe n'arrive pas.",
            "L'application bloque mon compte après deux essais.",
            "Votre page répète à {person} que ces identifiants sont inconnus.",
            "Depuis le {date}, le code d'accès est refusé à chaque fois.",
        ],
        "defect": [
            "Le {product} est cassé, il ne s'allume pas.",
            "Mon {product} du {date} fait un bruit étrange et chauffe.",
            "L'écran du {product} est fissuré, commande {order}.",
            "Après une semaine le {product} ne marche plus.",
            "Quoi que je touche, le {product} reste noir.",
            "De la fumée est sortie du {product} le {date}, j'ai débranché.",
        ],
        "cancel": [
            "Veuillez annuler la commande {order} avant l'envoi.",
            "Je veux résilier l'abonnement du {product} tout de suite.",
            "Je n'ai plus besoin du {product}, annulez {order}.",
            "Résiliez mon contrat au {date}, au nom de {person}.",
            "J'ai changé d'avis pour le {product}, ne l'expédiez pas.",
            "Considérez notre accord comme terminé le {date}, signé {person}.",
        ],
        "privacy": [
            "Merci de supprimer toutes les données sur {person}.",
            "Quelles données personnelles de {person} gardez-vous, et pourquoi ?",
            "Je m'oppose à l'usage de mes données pour la publicité.",
            "Envoyez à {person} une copie de ses données selon le RGPD.",
        ],
    },
    "es": {
        "delivery": [
            "Mi {product} del pedido {order} todavía no ha llegado.",
            "¿Dónde está el paquete con el {product}? Debía estar en {city} el {date}.",
            "El seguimiento del pedido {order} no se mueve desde el {date}.",
            "El repartidor dejó el paquete del {product} en otra dirección de {city}.",
            "Aquí en {city} no apareció nada, aunque el {product} estaba prometido para el {date}.",
            "Dicen que entregado el {date}, pero nadie llamó y {order} no aparece.",
        ],
        "refund": [
            "Devolví el {product} el {date} y quiero mis {amount} de vuelta.",
            "¿Cuándo van a reembolsar los {amount} del pedido {order}?",
            "Devuelvan el dinero del {product}, no he recibido los {amount}.",
            "El reembolso de {amount} sigue sin llegar a mi cuenta.",
            "Tienen otra vez el {product} desde el {date}, pero los {amount} nunca volvieron.",
            "Me deben {amount} por el {product} que regresó a {city}.",
        ],
        "invoice": [
            "La factura del pedido {order} pone {amount}, es demasiado.",
            "Necesito una copia de la factura del {product} del {date}.",
            "Pongan el nombre {person} en la factura del pedido {order}.",
            "Me han cobrado {amount} dos veces por el {product}.",
            "Contabilidad pide un justificante de {amount} a nombre de {person}.",
            "Hay un impuesto equivocado en el documento de {order}.",
        ],
        "login": [
            "No puedo entrar en mi cuenta desde el {date}.",
            "Mi contraseña ya no vale, la cuenta es de {person}.",
            "El enlace para cambiar la contraseña no llega.",
            "La aplicación bloquea mi cuenta tras dos intentos.",
            "Su página repite a {person} que esas credenciales no existen.",
            "Desde el {date} rechaza siempre el código de acceso.",
        ],
        "defect": [
            "El {product} está roto, no se enciende.",
            "Mi {product} del {date} hace un ruido raro y se calienta.",
            "La pantalla del {product} tiene una grieta, pedido {order}.",
            "Tras una semana el {product} dejó de funcionar.",
            "Pulse lo que pulse, el {product} sigue apagado.",
            "Salió humo del {product} el {date} y lo desenchufé.",
        ],
        "cancel": [
            "Por favor, cancelen el pedido {order} antes del envío.",
            "Quiero dar de baja la suscripción del {product} ya.",
            "Ya no necesito el {product}, anulen {order}.",
            "Cancelen mi contrato el {date}, a nombre de {person}.",
            "He cambiado de idea con el {product}, no lo manden.",
            "Den por terminado nuestro acuerdo el {date}, firmado {person}.",
        ],
        "privacy": [
            "Borren todos los datos que tienen de {person}.",
            "¿Qué datos personales de {person} guardan y por qué?",
            "Me opongo al uso de mis datos para publicidad.",
            "Envíen a {person} una copia de sus datos según el RGPD.",
        ],
    },
}

# Before and after the matter itself; they carry the mood.
OPENERS: dict[str, dict[str, list[str]]] = {
    "en": {
        "negative": ["This is unacceptable!", "I am really angry.", "What a disappointing service."],
        "neutral": ["Hello,", "Dear team,", "Good morning,"],
        "positive": ["Hello, you lovely people!", "I like your shop very much.", "Thanks for your great service!"],
    },
    "de": {
        "negative": ["Das ist unverschämt!", "Ich bin wirklich verärgert.", "Was für ein enttäuschender Service."],
        "neutral": ["Hallo,", "Sehr geehrte Damen und Herren,", "Guten Morgen,"],
        "positive": ["Hallo, ihr Lieben!", "Ihr Laden gefällt mir sehr.", "Danke für den tollen Service bisher!"],
    },
    "fr": {
        "negative": ["C'est inacceptable !", "Je suis vraiment en colère.", "Quel service décevant."],
        "neutral": ["Bonjour,", "Madame, Monsieur,", "Bonsoir,"],
        "positive": ["Bonjour, chère équipe !", "J'aime beaucoup votre boutique.", "Merci pour ce super service !"],
    },
    "es": {
        "negative": ["¡Esto es inaceptable!", "Estoy muy enfadado.", "Qué servicio tan decepcionante."],
        "neutral": ["Hola,", "Estimado equipo:", "Buenos días,"],
        "positive": ["¡Hola, gente encantadora!", "Me gusta mucho su tienda.", "¡Gracias por el gran servicio!"],
    },
}
CLOSERS: dict[str, dict[str, list[str]]] = {
    "en": {
        "negative": ["I will not wait any longer.", "Never again!"],
        "neutral": ["Kind regards", "Please let me know."],
        "positive": ["Thank you so much!", "Keep up the good work."],
    },
    "de": {
        "negative": ["Länger warte ich nicht.", "Nie wieder!"],
        "neutral": ["Mit freundlichen Grüßen", "Bitte geben Sie mir Bescheid."],
        "positive": ["Herzlichen Dank!", "Weiter so."],
    },
    "fr": {
        "negative": ["Je n'attendrai pas plus longtemps.", "Plus jamais !"],
        "neutral": ["Cordialement", "Merci de me tenir au courant."],
        "positive": ["Merci infiniment !", "Continuez comme ça."],
    },
    "es": {
        "negative": ["No espero más.", "¡Nunca más!"],
        "neutral": ["Saludos", "Espero su respuesta."],
        "positive": ["¡Muchísimas gracias!", "Sigan así."],
    },
}
# Remarks that have nothing to do with the matter, but use its words.
ASIDES: dict[str, list[str]] = {
    "en": [
        "My last delivery came on time.",
        "The invoice of last month was fine.",
        "The {product} of my neighbour works well.",
        "Logging in was no problem today.",
    ],
    "de": [
        "Meine letzte Lieferung kam pünktlich.",
        "Die Rechnung vom letzten Monat war in Ordnung.",
        "Der {product} meines Nachbarn funktioniert gut.",
        "Das Anmelden ging heute ohne Problem.",
    ],
    "fr": [
        "Ma dernière livraison était à l'heure.",
        "La facture du mois dernier était correcte.",
        "Le {product} de mon voisin marche bien.",
        "La connexion marchait bien aujourd'hui.",
    ],
    "es": [
        "Mi última entrega llegó a tiempo.",
        "La factura del mes pasado estaba bien.",
        "El {product} de mi vecino funciona bien.",
        "Hoy entré sin problemas.",
    ],
}
CONTACT: dict[str, str] = {
    "en": "You reach me at {email} or {phone}.",
    "de": "Sie erreichen mich unter {email} oder {phone}.",
    "fr": "Vous me joignez à {email} ou au {phone}.",
    "es": "Me encuentran en {email} o en el {phone}.",
}

PRODUCTS = ["Aero 3", "Lumo S", "BrewMax", "TrailCam 200", "Nova tablet", "PulseBand", "EchoPad", "Vento fan"]
NEW_PRODUCTS = ["Orbit Mini", "GlowTab 9", "HydroPod"]
CITIES = ["Berlin", "Hamburg", "Paris", "Lyon", "Madrid", "Sevilla", "London", "Leeds", "Wien", "San Sebastián"]
UNSEEN_CITIES = ["Porto", "Gent", "Bad Homburg", "Oviedo"]
FIRST_NAMES = ["Anna", "Jonas", "Marie", "Luc", "Carmen", "Diego", "Emily", "Oliver", "Aisha", "Mehmet", "Wei", "Olga"]
LAST_NAMES = ["Berg", "Keller", "Dupont", "Moreau", "García", "Ruiz", "Smith", "Walker", "Khan", "Demir", "Chen"]
UNSEEN_NAMES = ["Tomasz Nowak", "Chiara Ricci", "Björn Larsen", "Amina Diallo"]
