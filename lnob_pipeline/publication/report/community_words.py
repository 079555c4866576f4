"""The plain words of the sheets for communities for the codes of the tables: short, and as one would read them aloud.

Here: one word or half a sentence for a code. Not here: the sentences around them (community.py and its template), the
words that the other pages have for codes (words.py), labels of the mappings.
"""

from __future__ import annotations

from collections.abc import Mapping

GROUP: Mapping[str, str] = {
    "all": "Everybody who took part",
    "F": "Women and girls",
    "M": "Men and boys",
}

KIND: Mapping[str, str] = {
    "household_survey": "Household survey",
    "score_card": "Community score card",
    "provider_score": "Score by the service itself",
    "focus_group": "Group discussions",
    "interview": "Interviews",
    "policy_review": "Review of laws and policies",
}

HIDDEN: Mapping[str, str] = {
    "suppressed_small_sample": "fewer than 25 people or households answered",
    "too_few_cases": "fewer than 25 people or households answered",
    "suppressed_small_count": "so few people are counted that somebody could be recognised",
    "suppressed_dominance": "one answer makes up so much of the number that it could be worked out",
    "suppressed_to_protect": "the number would give away another hidden number",
    "not_estimable": "the way people were chosen does not allow a safe number",
    "no_rows": "nobody of this group answered",
}

ANSWER: Mapping[str, str] = {
    "yes": "yes",
    "no": "no",
    "partly": "partly",
}

DECIDED_BY: Mapping[str, str] = {
    "community": "The community",
    "partner": "The organisation that asked",
    "statistics_office": "The national statistics office",
    "secretariat": "The secretariat of the partnership",
}

DECISION: Mapping[str, str] = {
    "publish": "agreed to make this public",
    "accept": "accepted it",
    "object": "objected",
    "used_officially": "uses it officially",
}

SERIES: Mapping[str, str] = {
    "SP_ACS_BSRVSAN": "use a proper toilet that no other household uses",
    "SH_SAN_DEFECT": "have no toilet and go in the open",
    "LNOB_H2O_PREMISES": "have drinking water from a protected source at home or in the yard",
    "SP_ACS_BSRVH2O": "have drinking water from a protected source, 30 minutes at most to fetch it",
    "VC_VOV_GDSD": "felt treated badly because of who they are (adults, last 12 months)",
    "SP_PSR_OSATIS_PRM": "are content with the primary school (adults whose child goes there)",
    "SP_PSR_OSATIS_SEC": "are content with the secondary school (adults whose child goes there)",
    "SP_PSR_OSATIS_HLTH": "are content with health care (adults who used it)",
    "SP_PSR_OSATIS_GOV": "are content with the office for papers and documents (adults who used it)",
    "SP_PSR_SATIS_PRM": "give good marks to the primary school, on average over all points asked",
    "SP_PSR_SATIS_SEC": "give good marks to the secondary school, on average over all points asked",
    "SP_PSR_SATIS_HLTH": "give good marks to health care, on average over all points asked",
    "SP_PSR_SATIS_GOV": "give good marks to the office for papers, on average over all points asked",
    "IU_DMK_INCL": "feel they have at least some say in what the government does (adults)",
    "IU_DMK_RESP": "feel they have at least some influence on politics (adults)",
    "IU_DMK_ICRS": "feel they have at least some say or influence, on average (adults)",
    "SG_REG_BRTH": "of the children under 5 have their birth registered",
    "SP_DYN_MRBF15": "of the women aged 20 to 24 were married or lived with a partner before 15",
    "SP_DYN_MRBF18": "of the women aged 20 to 24 were married or lived with a partner before 18",
    "IT_MOB_OWN": "own a mobile phone (15 years and older)",
    "SH_SAN_HNDWSH": "have a place at home to wash hands with soap and water",
    "EG_EGY_CLEAN": "cook mainly with clean fuel such as gas or electricity",
    "EG_CFT_COOK": "cook mainly with clean fuel such as gas or electricity",
    "FB_BNK_ACCSS": "have a bank or mobile money account (15 years and older)",
    "SL_TLF_NEET": "of the young people aged 15 to 24 neither learn nor work",
}
"""What a number of a series counts, after "34 of 100 …"; a series that is not here goes by its title."""
