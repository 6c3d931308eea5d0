"""Questions about nothing in particular: how well a page matches them says how well it matches any.

They were written for this purpose. None of them asks for something in the documents of the demo,
the tests or the benchmarks. docs/late-interaction.md says what they are for and what they change.
"""

from __future__ import annotations

__all__ = ["BANK_QUESTIONS"]

BANK_QUESTIONS: tuple[str, ...] = (
    "How many passengers used the airport in the first quarter?",
    "What temperature should the oven have for the second phase?",
    "Who signed the agreement on behalf of the foundation?",
    "Which of the four methods has the lowest error rate?",
    "When does the warranty of the washing machine expire?",
    "What percentage of patients reported side effects after treatment?",
    "Where is the emergency exit on the third floor?",
    "What is the difference between a lease and a licence?",
    "Wie viele Aussteller kamen zur Messe nach Leipzig?",
    "Welche Schraube hält die Abdeckung des Getriebes?",
    "Wer darf eine Wohnung in der Siedlung mieten?",
    "Was kostet eine Monatskarte für Studierende?",
    "In welchem Jahr wurde die Brücke für Lastwagen gesperrt?",
    "Wie hoch ist der Anteil erneuerbarer Energie an der Erzeugung?",
    "Welche Unterlagen braucht man für den Antrag?",
    "Warum ist die Zahl der Geburten zurückgegangen?",
    "Combien de places le nouveau théâtre compte-t-il ?",
    "Quelle est la durée maximale du congé sans solde ?",
    "Qui finance la restauration du château ?",
    "Quels médicaments ne faut-il pas prendre ensemble ?",
    "Comment a évolué le prix du blé depuis dix ans ?",
    "Où se trouve l'interrupteur principal de la pompe ?",
    "Quelle région a exporté le plus de fromage ?",
    "Pourquoi la mission vers Mars a-t-elle été reportée ?",
    "Quanti visitatori ha avuto il museo durante l'estate?",
    "Qual è la pressione corretta delle gomme anteriori?",
    "Chi ha vinto il premio per il miglior romanzo?",
    "Quali documenti servono per iscrivere un bambino a scuola?",
    "Quando è stata costruita la diga sul fiume?",
    "Di quanto sono aumentati gli stipendi degli insegnanti?",
    "Come si sostituisce il filtro dell'acqua?",
    "Dove si coltivano le mele di questa varietà?",
    "¿Cuántos trabajadores tenía la fábrica antes de la crisis?",
    "¿Qué factores explican el aumento de la inflación?",
    "¿Quién es responsable del mantenimiento del ascensor?",
    "¿Cuál es la velocidad máxima en la zona del puerto?",
    "¿Dónde se guardan las copias de los contratos?",
    "¿Qué equipo marcó más goles en la segunda parte?",
    "¿Cuánta agua consume un hogar al mes?",
    "¿Cómo se calcula el descuento por pago anticipado?",
)
"""Forty questions, eight in each of the five languages of the bundled checkpoints."""
