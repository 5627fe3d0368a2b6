package track

import (
	"fmt"
	"time"
)

// Typography: \u00a0 before a colon and inside quotation marks, \u202f before ? ! and between a number and its unit.

func init() {
	const wait = "Vous n’avez rien à faire. Merci d’attendre que cette page annonce qu’elle est prête avant de vous déplacer."
	const noWait = "Vous n’avez rien à faire."
	register(&texts{
		tag: "fr",
		stories: map[string]story{
			"placed": {"Enregistrée", "Nous avons bien votre commande", "Le magasin ne l’a pas encore confirmée.",
				wait},
			"placed.ship_home": {"Enregistrée", "Nous avons bien votre commande", "Elle n’est pas encore confirmée.", noWait},
			"placed.unpaid": {"Enregistrée", "Votre commande attend votre paiement",
				"Elle vous est gardée jusqu’à l’heure que dit cette page, et sera préparée une fois payée.",
				"Merci de payer d’ici là\u00a0: passé ce délai, plus rien ne vous sera réservé."},
			"accepted": {"Confirmée", "Votre commande est confirmée", "Le magasin l’a acceptée et va la préparer.",
				wait},
			"accepted.ship_to_store": {"Confirmée", "Votre commande est confirmée",
				"Elle va être préparée, puis envoyée au magasin où vous la retirez.", wait},
			"accepted.ship_home": {"Confirmée", "Votre commande est confirmée",
				"Elle va être préparée, puis vous être envoyée.", noWait},
			"picking": {"En préparation", "Votre commande est en préparation", "L’équipe rassemble vos articles.", wait},
			"picking.ship_home": {"En préparation", "Votre commande est en préparation",
				"L’équipe rassemble vos articles.", noWait},
			"in_transit": {"En route", "Votre commande est en route vers le magasin",
				"Elle est partie, et vous sera gardée dès son arrivée.", wait},
			"in_transit.ship_home": {"En route", "Votre commande est en route vers vous", "Elle est partie.", noWait},
			"in_transit.partly": {"En route", "Une partie de votre commande est en route vers le magasin",
				"Vos articles ne sont pas tous au même endroit\u00a0: la liste dit où ils en sont.", wait},
			"accepted.partly": {"Confirmée", "Une partie de votre commande est au magasin",
				"Le reste doit encore y être envoyé. La liste des articles dit quoi.", wait},
			"picking.partly": {"En préparation", "Une partie de votre commande est au magasin",
				"Le reste doit encore y être envoyé. La liste des articles dit quoi.", wait},
			"received": {"Au magasin", "Votre commande est arrivée au magasin", "Elle y est préparée pour le retrait.", wait},
			"received.picking": {"Au magasin", "Votre commande est en préparation pour le retrait",
				"Elle est arrivée au magasin, et l’équipe la prépare pour vous.", wait},
			"ready": {"Prête", "Votre commande est prête", "Elle vous attend.",
				"Venez avec le code de cette page et présentez-le à l’équipe."},
			"ready.curbside": {"Prête", "Votre commande est prête", "Elle vous attend, et nous l’apportons à votre véhicule.",
				"Venez avec le code de cette page, et garez-vous à l’endroit prévu pour le retrait en voiture."},
			"ready.locker": {"Prête", "Votre commande est prête", "Elle vous attend dans un casier.",
				"Ouvrez le casier avec le code de cette page."},
			"ready.ship_home": {"Emballée", "Votre commande est emballée", "Elle attend le transporteur.", noWait},
			"collected": {"Retirée", "Votre commande a été retirée", "Merci\u202f!",
				"Si quelque chose ne va pas, contactez-nous."},
			"collected.ship_home": {"Expédiée", "Votre commande a été expédiée", "Le transporteur l’a prise en charge.",
				"Si elle n’arrive pas, contactez-nous."},
			"collected.delivered": {"Livrée", "Votre commande a été livrée", "Merci\u202f!",
				"Si quelque chose ne va pas, contactez-nous."},
			"cancelled": {"Annulée", "Cette commande est annulée", "Plus rien ne vous est réservé.",
				"Si vous ne vous y attendiez pas, contactez-nous."},
			"expired": {"Expirée", "Cette commande a expiré",
				"Le délai pendant lequel elle était gardée est passé, et plus rien ne vous est réservé.",
				"Si vous la souhaitez toujours, commandez de nouveau."},
			"short": {"Incomplète", "Il manque une partie de votre commande",
				"Tout n’a pas pu être trouvé. La liste des articles dit ce qui manque\u00a0; le reste vous est gardé.",
				"Contactez-nous, et nous trouverons une solution."},
			"returned": {"Retournée", "Votre commande a été retournée", "Nous avons tout reçu en retour.",
				"Si ce n’est pas le cas, contactez-nous."},
			"returned.partly": {"Retournée", "Une partie de votre commande a été retournée",
				"La liste des articles dit ce que nous avons reçu en retour.", "Si ce n’est pas exact, contactez-nous."},
		},
		payments: map[Payment]string{
			PaymentPending: "Nous ne l’avons pas encore reçu",
			Paid:           "Payé",
			DueInStore:     "Vous payez au retrait",
			RefundDue:      "Un remboursement vous est dû",
			Refunded:       "Remboursé",

			RefundDue + ".missing":   "Ce qui manque vous sera remboursé",
			RefundDue + ".cancelled": "Ce qui a été annulé vous sera remboursé",
			RefundDue + ".returned":  "Ce que vous avez retourné vous sera remboursé",
			RefundDue + ".partly":    "Une partie vous sera remboursée",
			Refunded + ".missing":    "Ce qui manque vous a été remboursé",
			Refunded + ".cancelled":  "Ce qui a été annulé vous a été remboursé",
			Refunded + ".returned":   "Ce que vous avez retourné vous a été remboursé",
			Refunded + ".partly":     "Une partie vous a été remboursée",
		},
		units:     map[string]string{"piece": "%d\u00a0×", "gram": "%d\u202fg", "millimetre": "%d\u202fmm"},
		collected: func(n int64) string { return frenchCount(n, counted{"retiré", "retirés"}) },
		short:     func(n int64) string { return frenchCount(n, counted{"manquant", "manquants"}) },
		returned:  func(n int64) string { return frenchCount(n, counted{"retourné", "retournés"}) },
		here:      func(n int64) string { return fmt.Sprintf("%d au magasin", n) },
		inTransit: func(n int64) string { return fmt.Sprintf("%d en route", n) },
		toSend:    func(n int64) string { return fmt.Sprintf("%d encore à envoyer", n) },

		partlyCollected: "Une partie a déjà été retirée.",
		title:           "%[1]s – %[2]s",
		order:           "Commande %s",
		orderAlone:      "Votre commande",

		until:         "À retirer avant le",
		slot:          "Votre créneau",
		payment:       "Paiement",
		payUntil:      "À payer avant le",
		identity:      "À apporter",
		identityText:  "Une pièce d’identité",
		code:          "Code de retrait",
		codeText:      "Qui détient ce code peut retirer la commande.",
		qr:            "QR code du code de retrait %s",
		where:         "Lieu",
		contact:       "Contact",
		mapApp:        "Ouvrir l’appli de cartes",
		osm:           "Voir sur OpenStreetMap",
		phone:         "Appeler",
		steps:         "Suivi",
		stepDone:      "fait",
		stepNow:       "en cours",
		stepNext:      "à venir",
		lines:         "Vos articles",
		asOf:          "État au %s.",
		zone:          "Les heures sont celles du lieu (%s).",
		refresh:       "Actualiser cette page",
		arrival:       "Vous êtes sur place\u202f?",
		arrivalText:   "Dites-nous où vous stationnez, et nous apportons votre commande.",
		bay:           "Place de parking",
		bayHint:       "si elle a un numéro",
		vehicle:       "Votre véhicule",
		vehicleHint:   "par exemple une Clio bleue",
		announce:      "Je suis là",
		announceAgain: "Corriger",
		arrived:       "Nous savons que vous êtes là",
		arrivedText:   "Merci de rester près de votre véhicule. Nous arrivons avec votre commande.",
		arrivedSince:  "Vous nous l’avez dit %s.",
		back:          "Retour à votre commande",
		unknown:       "Cette commande n’existe pas",
		unknownText: "L’adresse de cette page n’est pas complète, ou la commande est trop ancienne. Ouvrez de nouveau le lien " +
			"de votre message, ou contactez le magasin.",
		hours:         "Horaires d’ouverture",
		special:       "Jours particuliers",
		openNow:       "Ouvert en ce moment",
		openUntil:     "Ouvert en ce moment, ferme %s",
		closedNow:     "Fermé en ce moment",
		closedUntil:   "Fermé en ce moment, ouvre %s",
		hoursUnknown:  "Les horaires d’ouverture ne sont pas connus.",
		everyDay:      "Tous les jours",
		closed:        "fermé",
		notKnown:      "non connu",
		roundTheClock: "24\u202fh sur 24",
		days:          [7]string{"dimanche", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi"},
		tomorrow:      "demain",
		yesterday:     "hier",

		clock:   frenchClock,
		date:    frenchDate,
		ofYear:  "%s %d",
		at:      "%s à %s",
		fromTo:  "%s, de %s à %s",
		atClock: "à %s",
		onDate:  "le %s à %s",
		in:      func(n int, u unit) string { return "dans " + frenchUnit(n, u) },
		ago:     func(n int, u unit) string { return "il y a " + frenchUnit(n, u) },
		justNow: "maintenant",
	})
}

var frenchMonths = [...]string{
	"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre",
}

func frenchDate(t time.Time) string {
	n := fmt.Sprint(t.Day())
	if t.Day() == 1 {
		n = "1er"
	}
	return textsOf("fr").days[t.Weekday()] + " " + n + " " + frenchMonths[t.Month()-1]
}

func frenchClock(hour, minute int) string {
	if minute == 0 {
		return fmt.Sprintf("%d\u202fh", hour)
	}
	return fmt.Sprintf("%d\u202fh\u202f%02d", hour, minute)
}

// frenchCount: up to and not including two is singular.
func frenchCount(n int64, w counted) string {
	if n < 2 {
		return fmt.Sprintf("%d %s", n, w.one)
	}
	return fmt.Sprintf("%d %s", n, w.many)
}

func frenchUnit(n int, u unit) string {
	return frenchCount(int64(n), [...]counted{{"minute", "minutes"}, {"heure", "heures"}, {"jour", "jours"}}[u])
}
