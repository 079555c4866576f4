"""The fixed list of rules, and every sentence of this stage that a partner reads.

Here belong what is judged, how severe it is and how it is told; the judging is in contracts.py, gate.py, privacy.py and
expectations.py. Each rule is answered in every run, also when it does not apply. All texts stand here so that a
translation has one file to follow. Sources: Copenhagen Framework on Citizen Data; OHCHR, A human-rights-based approach
to data; United Nations National Quality Assurance Framework.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["blocking", "review", "warning", "information"]


@dataclass(frozen=True)
class Rule:
    """A rule, and what a failure does to the submission.

    blocking: it is rejected; review: it waits for a person's decision; warning: it is accepted with a flag;
    information: nothing.
    why: one sentence for the partner; mend: what to do; example: how it looks when it is right.
    """

    rule_id: str
    severity: Severity
    title: str
    why: str
    mend: str
    example: str


RULES: dict[str, Rule] = {
    rule.rule_id: rule
    for rule in (
        Rule(
            "readable",
            "blocking",
            "The files can be opened",
            "What cannot be opened cannot be counted.",
            "Export or save the file again, open it once to see that it is right, and send the new file.",
            "survey.xlsx as the survey tool exported it",
        ),
        Rule(
            "structure",
            "blocking",
            "The tables and columns of the questionnaire are there",
            "An answer is understood by its column; without the column a question of the form has no answers at all.",
            "Export all versions of the form, with its question names or labels, and leave the first row as it is.",
            "the column names of the form, in any order",
        ),
        Rule(
            "consent",
            "blocking",
            "Everybody in the data agreed to take part",
            "Answers may be used only if the person agreed; without the question nobody can know.",
            "Send the column with the answer to the consent question, and name it in the manifest.",
            "consent: yes",
        ),
        Rule(
            "ethics",
            "blocking",
            "The ethics approval covers the interviews",
            "Approval that comes after the interviews, or does not speak of minors, protects nobody.",
            "Correct the date of the approval or of the collection in the manifest, or send the earlier approval.",
            "approval 2019-03-01, first interview 2019-04-15",
        ),
        Rule(
            "special_protocol",
            "warning",
            "Sensitive questions were asked under a special protocol",
            "Questions on violence and on the body can bring a person into danger when they are asked without care.",
            "Answer special_protocol, one_per_hh, privacy_obtained, referral_list and interviewer_trained (ethics) in "
            "the manifest with yes if all of them are true; if not, leave these columns out and send totals only.",
            "one woman a household, asked alone by a trained interviewer with a list of services for help",
        ),
        Rule(
            "identifiers",
            "warning",
            "What says who a person is was taken out",
            "Names, phone numbers, identity numbers and places of homes can bring people into danger.",
            "Leave these columns and cells out of the next hand-in; they were taken out here and are kept nowhere.",
            "no phone number, not even in a remark",
        ),
        Rule(
            "corrections",
            "warning",
            "The cleaning log fits the data",
            "What was corrected must be seen: the answers as collected stay, and the log says what was changed.",
            "Correct the line of the log: the id of the row, the question, and the answer as it was collected.",
            "record_key 101, column age, action change_response, expected 350, new_value 35",
        ),
        Rule(
            "identity",
            "warning",
            "Each interview is in the file once",
            "A person who is counted twice weighs twice.",
            "Keep the right one of the rows and delete the others; if they are different people, give each its own id.",
            "ids 101, 102, 103",
        ),
        Rule(
            "dates",
            "warning",
            "Interviews took place during the collection",
            "The year of a number is the year of its interviews; a wrong date puts it into the wrong year.",
            "Correct the date (Gregorian calendar, year first), or the period of collection in the manifest.",
            "2019-05-27",
        ),
        Rule(
            "place",
            "warning",
            "Interviews took place in the area of the submission",
            "A number speaks only for the area where people were asked.",
            "Correct the area of the row, or add the area to geography.admin1 in the manifest.",
            "KE-17",
        ),
        Rule(
            "codes",
            "warning",
            "Answers are codes of the questionnaire",
            "An answer that the questionnaire does not have cannot be counted on either side.",
            "Put the code of the answer, or tell us of the new answer so that it can be added to the mapping.",
            "borehole",
        ),
        Rule(
            "types",
            "warning",
            "Numbers are numbers and dates are dates",
            "A number with words in it, or one that can be read in two ways, cannot be computed.",
            "Write the number with digits only, 1234 and not 1,234; write a date as year-month-day.",
            "35, or 2019-05-27",
        ),
        Rule(
            "ranges",
            "warning",
            "Numbers are possible",
            "One impossible number can move an average more than all true ones.",
            "Look at the paper form or ask the interviewer; if the answer is not known, use the code for it.",
            "an age between 0 and 110 years",
        ),
        Rule(
            "design",
            "blocking",
            "Every row knows its stratum, its cluster and its weight",
            "Without the design of the sample no number for the population and no interval can be computed.",
            "Fill in stratum, cluster and weight of each row; number the clusters through, each in one stratum.",
            "stratum kisumu_rural, cluster 1207, weight 1.35",
        ),
        Rule(
            "household",
            "warning",
            "Households and their members fit together",
            "A member without household has no place and no weight; a missing member is a person not counted.",
            "Complete the list of members, or correct the household size; mark one person as the respondent.",
            "household size 4 and four members, one of them the respondent",
        ),
        Rule(
            "completeness",
            "warning",
            "The data are as many and as complete as the manifest says",
            "People who are missing are seldom like those who answered.",
            "Say in the manifest how many were planned and reached, and send the rows and answers that are missing.",
            "planned 412, achieved 388, 388 rows",
        ),
        Rule(
            "quarantine_share",
            "warning",
            "Few rows had to be left out",
            "When many rows of a probability sample are left out, the rest no longer represents the population.",
            "Mend the rows listed here and hand in again; rows that are right now come in then.",
            "at most 5 of 100 rows",
        ),
        Rule(
            "expectations",
            "warning",
            "The answers are what the questionnaire and the question bank expect",
            "Columns with many unexpected or missing values are often shifted, swapped or coded in another way.",
            "Compare the column with the form; most often the codes were changed or the export used labels.",
            "at least 95 of 100 answers are codes of the form",
        ),
        Rule(
            "citizen_engagement",
            "information",
            "The community took part in design or collection",
            "Data of level 4 or 5 in design or collection are citizen data; other data are kept apart.",
            "Correct the engagement levels in the manifest if they are wrong.",
            "design 4, collection 5",
        ),
        Rule(
            "conduct",
            "warning",
            "The interviews went as interviews go",
            "Interviews that are far too short or all alike were perhaps not held as they should be.",
            "Look at these interviews with the people who did them; say what you found, and correct or leave out rows.",
            "an interview of 35 minutes, reviewed and approved in the survey tool",
        ),
        Rule(
            "form_logic",
            "warning",
            "The answers follow the rules of the form",
            "A form asks a question only of those it concerns, and says which answers are possible.",
            "Compare the row with the paper form, and send the version of the form that was used.",
            "no answer to a question that the form skips",
        ),
        Rule(
            "applicable_law",
            "information",
            "The law on personal data is named",
            "The law of the country says who must agree, and how long data may be kept.",
            "Nothing, unless your lawyer tells you of another law; then write to the secretariat.",
            "Kenya, Data Protection Act, 2019",
        ),
    )
}

REASONS: dict[str, tuple[str, str]] = {
    "no_consent": (
        "no consent was given or noted, so the row was not read further",
        "nothing, if consent was refused; if it was forgotten to note it, correct the consent answer",
    ),
    "no_consent_question": (
        "the consent question ({column}) is not a column of the data, so no row was read further",
        "send the column with the answers to the consent question, and name it in the manifest (consent.column)",
    ),
    "no_consent_declared": (
        "the manifest does not say how consent was obtained, so no row was read further",
        "fill in consent in the manifest: per_row for interviews, per_group for discussions and score cards",
    ),
    "nobody_consented": (
        "no row has one of the answers that mean consent ({affirmative})",
        "check the affirmative codes in the manifest (consent.affirmative) against the data",
    ),
    "unreadable_file": ("{problem}", "{mend}"),
    "unreadable_row": ("row {row}: {problem}", "{mend}"),
    "reader_note": ("{note}", "nothing, if this is right; else save the file again as the manifest says"),
    "too_many_rows": (
        "the file has {rows} rows and at most {limit} are read",
        "divide the hand-in into several, for example one for each area",
    ),
    "unknown_instrument": (
        "the questionnaire {instrument} of the manifest is not known here",
        "check the name in the manifest (instrument), or send the questionnaire so that it can be mapped",
    ),
    "unknown_country": (
        "the country of the manifest is not one of the partnership ({known})",
        "correct country in the manifest",
    ),
    "unknown_area": (
        "an area of the manifest is not a first-level area that is known here ({known})",
        "correct geography.admin1 in the manifest, or ask the secretariat to add the area",
    ),
    "unknown_group": (
        "a group of the manifest is not known here ({known})",
        "correct groups in the manifest, or ask the secretariat to add the group",
    ),
    "other_data_type": (
        "the questionnaire {instrument} is for the data type {declared}, and the manifest says {data_type}",
        "correct data_type or instrument in the manifest",
    ),
    "absent_table": (
        "the table {table} of the questionnaire is not in the files",
        "send all sheets or files of the export and do not rename them; a CSV of KoboToolbox leaves repeat groups out: "
        "export as XLS or JSON",
    ),
    "empty_table": ("the table {table} has no rows", "export again, for all dates and all versions of the form"),
    "absent_column": (
        "the column {column} of the questionnaire is not in the file",
        "export again with all questions and with question names, or name the right version of the form",
    ),
    "unclear_column": (
        "{n} columns of the file end in {column}, and the mapping does not say which of them is meant",
        "ask the secretariat to name them in the mapping, as other names (aliases) of the question or as left out",
    ),
    "column_elsewhere": (
        "the column bears the name of the question {question}, which the file has in another place, and was left out",
        "if the question was moved to another group of the form, ask the secretariat to name this place in the mapping",
    ),
    "empty_column": (
        "no row has an answer to {column}",
        "nothing, if nobody was asked; if people were asked, export again: the export has lost the answers",
    ),
    "unknown_version": (
        "{n} rows are of a version of the form that the mapping of the questionnaire does not name ({versions})",
        "send the form of this version, so that its questions can be compared; the rows were read all the same",
    ),
    "reserved_column": (
        "the column name {column} is kept for the pipeline",
        "rename the question in the form, or ask the secretariat to map it under another name",
    ),
    "look_alike_header": (
        "the name of the column looks like {question}, but letters of another alphabet stand in it, so it was not "
        "recognised",
        "type the name of the column again with the letters of the questionnaire",
    ),
    "unknown_column": (
        "the column is not in the questionnaire and was left out",
        "name the right version of the form, or tell us of the new question so that it can be mapped",
    ),
    "not_the_design": (
        "the manifest names {named} as the {part} of the sample, and the questionnaire maps {mapped}",
        "correct sampling in the manifest, or have the mapping of the questionnaire corrected",
    ),
    "approval_after_collection": (
        "the ethics approval is of {approval}, after the first interview on {first}",
        "send the approval that was in force, or correct the date",
    ),
    "young_respondent": (
        "the respondent is below {age} and the manifest says that no minors were interviewed",
        "correct the age, or fill in minors_interviewed and guardian_consent in the manifest",
    ),
    "no_guardian_declared": (
        "{n} people below {age} years answered for themselves, and neither the manifest nor the data say that a "
        "guardian agreed; a person decides",
        "correct the ages; if guardians agreed, fill in minors_interviewed and guardian_consent in the manifest",
    ),
    "guardians_on_word": (
        "{n} people below {age} years answered for themselves; that guardians agreed is said in the manifest only",
        "next time note the guardian's answer in a column, and name it in the manifest (guardian_consent_column)",
    ),
    "sensitive_taken_out": (
        "answers to {column} may be kept only where a special protocol was in force, and the manifest does not say so "
        "in all of its parts; {n} answers were taken out and are kept nowhere",
        "if the protocol was complete, say so in the manifest (ethics); if not, leave the column out and hand in "
        "totals: for groups of 25 people or more how many were asked and how many answered what, in a report",
    ),
    "identifier_in_answer": (
        "the cell holds what looks like {kind}; it was taken out and is kept nowhere",
        "put the code of the answer instead",
    ),
    "identifier_column": (
        "the column holds what looks like {kind} in {n} rows and was taken out",
        "leave the column out of the next hand-in",
    ),
    "identifier_in_manifest": (
        "the manifest ({field}) holds what looks like a phone or identity number or an e-mail address; it is not shown",
        "name a body, an office or a document instead of a person, and correct the manifest",
    ),
    "duplicate": (
        "the same id ({column}) stands in more than one row; none of them was taken",
        "keep the right row and delete the other, or give each its own id",
    ),
    "no_key": ("the id of the row ({column}) is empty", "fill in the id"),
    "parent_out": (
        "the row it belongs to was not accepted, so this one waits with it",
        "mend the row it belongs to; this one comes in with it",
    ),
    "orphan": (
        "the row belongs to a {parent} that is not in the file",
        "send the missing row too, or correct {column}",
    ),
    "outside_dates": (
        "the interview date is outside the collection ({start} to {end})",
        "correct the date, or the period of collection in the manifest",
    ),
    "bikram_sambat": (
        "the year is of the Bikram Sambat calendar; the date would be about {proposal} in the Gregorian calendar",
        "write the Gregorian date; nothing was converted",
    ),
    "outside_area": (
        "the area is not one of those the submission speaks for ({areas})",
        "correct the area, or add it to geography.admin1 in the manifest",
    ),
    "unknown_code": (
        "not an answer of this question; answers are {codes}",
        "put one of the codes, or tell us of the new answer",
    ),
    "question_stopped": (
        "{n} of {answered} answers to {column} are not known to the questionnaire, more than {limit} %; so no number "
        "is made of this question",
        "mend these answers; if the form has new answers, send it, so that they can be mapped",
    ),
    "conflicting_columns": (
        "the columns of this question say different things, so none of them was taken",
        "correct the wrong one; where a question was renamed or is spread over option columns, all must agree",
    ),
    "ambiguous_answers": (
        "the answers in this cell can be told apart in two ways, because answers hold what stands between them",
        "export with a column for each option, or with codes (XML values) and not labels",
    ),
    "other_label": (
        "the file itself gives this code another meaning than the questionnaire has, so it was not taken",
        "look at the labels of the codes in your file; if the codes of the questionnaire were changed, tell us",
    ),
    "no_tick": (
        "an option column holds something that is neither a tick (1, TRUE) nor none (0, FALSE)",
        "write 1 or 0, or export again",
    ),
    "change_response": (
        "{n} answers were changed by the cleaning log, {unseen} of them without saying what the answer was before",
        "nothing, if this is right",
    ),
    "blank_response": (
        "{n} answers were deleted by the cleaning log, {unseen} of them without saying what the answer was before",
        "nothing, if this is right",
    ),
    "remove_row": ("{n} rows were left out by the cleaning log", "nothing, if this is right"),
    "no_such_log_column": (
        "the cleaning log has no column {columns}",
        "correct the names of its columns in the manifest (corrections)",
    ),
    "no_row_of_log": (
        "the column with the ids that the cleaning log names rows by is not in the data",
        "name it in the manifest (corrections.identifier)",
    ),
    "workbook_of_other_file": (
        "the feedback workbook was made for another file than the one that is handed in with it, so it was not applied",
        "hand in the same data file again, with the workbook; if you changed the data file itself, leave the workbook "
        "out and ask for new feedback",
    ),
    "part_of_a_row": (
        "{n} rows of the feedback workbook are parts of one row of your file and cannot be left out one by one",
        "delete the answer instead, or correct the row in your file",
    ),
    "unknown_action": (
        "the action of this line is none of those that the manifest names, so the line was not applied",
        "correct the line, or add the word to the manifest (corrections)",
    ),
    "no_such_row": ("no row of the data has the id of this line", "correct the id, or delete the line"),
    "several_rows": (
        "several rows of the data have the id of this line, so it was not applied",
        "give each row its own id",
    ),
    "no_such_question": (
        "the question of this line is not one column of the data, so the line was not applied",
        "write the name of the column as it stands in the first row of the data",
    ),
    "consent_not_changed": (
        "a cleaning log cannot change the answer to the consent question",
        "correct the answer in the data, if it was noted wrongly",
    ),
    "no_new_answer": (
        "the line changes an answer and does not say to what, so it was not applied",
        "write the new answer, or use the word for deleting an answer",
    ),
    "other_than_expected": (
        "the answer in the data is not the one that this line expects, so the line was not applied",
        "look at the answer as it was collected, and correct the line",
    ),
    "two_new_answers": (
        "two lines want different answers in the same place, so none of them was applied",
        "delete the line that is wrong",
    ),
    "not_a_number": ("not a number", "write digits only, without words, signs or units"),
    "ambiguous_number": (
        "could be a number with thousands or with a decimal comma",
        "write 1234 or 1.234",
    ),
    "bracketed_number": (
        "a number in brackets: in survey tables that means few cases, in accounts a number below zero",
        "write the number without brackets, with a minus sign if it is below zero",
    ),
    "percent_sign": (
        "a number with a percent sign, which could stand for a whole number or for a part of one",
        "write the number without the sign, in the unit of the question",
    ),
    "mixed_shares": (
        "{signs} answers have a percent sign and {parts} are parts of one, so the column is in two units",
        "write all answers of the column in the unit of the question, without a percent sign",
    ),
    "date_for_code": (
        "a date stands here, and the question has none: a spreadsheet program seems to have changed the answer "
        "{proposal}; nothing was changed back",
        "format the column as text, write the answer again, and save",
    ),
    "look_alike_letters": (
        "not an answer of this question: a letter of another alphabet that looks the same stands in it; the answer may "
        "be {proposal}",
        "write the answer again with the letters of the questionnaire",
    ),
    "two_digit_year": (
        "the year has two digits, so the date can be read in several ways and calendars",
        "write the year with four digits, for example 2019-05-27",
    ),
    "not_a_date": ("not a date that can be read in one way only", "write year-month-day, for example 2019-05-27"),
    "out_of_range": ("not possible: {bounds}", "correct the number, or use the code for don't know"),
    "no_weight": ("the weight is missing, zero or negative", "fill in the design weight of the row"),
    "no_design_value": ("the {part} is missing", "fill it in"),
    "cluster_in_other_stratum": (
        "the other rows of this cluster are in another stratum",
        "correct the stratum or the cluster of the row",
    ),
    "clusters_across_strata": (
        "{n} clusters have rows in several strata, so that the same number stands for different places",
        "number the clusters through, or write stratum and cluster together (kisumu_rural_07)",
    ),
    "no_design_rows": ("no row has a {part}", "fill in the column, or correct sampling in the manifest"),
    "roster_size": (
        "the household size differs from the number of members listed",
        "complete the list of members, or correct the household size",
    ),
    "several_respondents": (
        "more than one member is marked as the respondent; none of them was taken as such",
        "mark the one member who answered the individual questions",
    ),
    "achieved_differs": (
        "the manifest says {achieved} achieved and the files hold {rows} rows",
        "correct sample_size.achieved, or send the missing rows",
    ),
    "far_below_plan": (
        "{rows} rows of {planned} planned: below four in five",
        "say in the manifest why fewer were reached; check that all data are sent",
    ),
    "missing_answers": (
        "{missing} of {n} rows have no answer to {column}, more than one in ten",
        "ask for the missing answers, or say why they are missing",
    ),
    "quarantine_high": (
        "{quarantined} of {n} rows with consent are in quarantine, more than {limit} %",
        "mend the rows that are listed and hand in again",
    ),
    "nothing_accepted": ("no row could be accepted", "mend the rows that are listed and hand in again"),
    "unexpected": ("{failed} of {n} did not meet the expectation {expectation}", "compare the column with the form"),
    "sharing_refused": (
        "the person did not agree that the answers are shared, so the row was not read further",
        "nothing, if it was refused; if it was forgotten to note it, correct the answer",
    ),
    "no_guardian_consent": (
        "a minor answered and no guardian's consent is noted, so the row was not read further",
        "nothing, if no guardian agreed; if it was forgotten to note it, correct the answer",
    ),
    "no_privacy": (
        "sensitive questions were answered and it is not noted that nobody else could hear, so the row was not read",
        "nothing, if it was not private; if it was forgotten to note it, correct the answer",
    ),
    "no_scope_question": (
        "the manifest names the column {column} for consent, and it is not in the data, so no row was read further",
        "send the column, or correct its name in the manifest",
    ),
    "no_scope_column": (
        "the manifest names the column {column} for consent, and it is not in the data: nobody counts as having agreed",
        "send the column, or correct its name in the manifest",
    ),
    "sensitive_kept": (
        "{n} sensitive questions were asked under a special protocol; a person looks at the protocol before they count",
        "send the protocol to the secretariat, if you have not done so",
    ),
    "young_children": (
        "{n} people below {age} years answered for themselves; a person looks at how they were protected",
        "send the secretariat what the ethics approval says about children",
    ),
    "no_law_known": (
        "the law on personal data of {country} is not in the register; guardians consent below {age} years",
        "nothing; the secretariat completes the register",
    ),
    "ends_before_start": ("the interview ends before it starts", "correct the times, or set the clock of the device"),
    "short_interview": (
        "the interview took less than {minutes} minutes, a third of what is usual here ({median} minutes)",
        "ask the interviewer what happened; leave the row out if the questions were not all asked",
    ),
    "answers_alike": (
        "the interviews of one interviewer agree in more than {share} of 100 answers",
        "ask first whether these households live alike, as in one camp; if not, visit some of them again and leave "
        "out rows that were not asked",
    ),
    "rejected_in_tool": (
        "the row was rejected in the survey tool",
        "approve the row in the survey tool, if it is right, and export again",
    ),
    "not_approved_in_tool": (
        "the row is not approved in the survey tool, and the manifest asks for approved rows only",
        "approve the row in the survey tool, if it is right, and export again",
    ),
    "doubtful_in_tool": (
        "the row is on hold, or has issues, in the survey tool",
        "decide on the row in the survey tool and export again",
    ),
    "same_answers": (
        "another row has the same answers to all {questions} questions",
        "delete the copy; leave it if these are two people who answered alike",
    ),
    "undeclared_sentinel": (
        "the number looks like a code for don't know or refused, and the questionnaire does not say so",
        "tell us what the code means, or leave the cell empty",
    ),
    "possible_sentinel": (
        "the number can be true, or a code for don't know or refused; it was kept",
        "look at the paper form; if it is a code, leave the cell empty",
    ),
    "ages_heaped": (
        "many ages end in 0 or 5 (Whipple's index {index}, where 100 is none and 500 is all)",
        "ask for the year of birth, or for an event of that time, when people are not sure of their age",
    ),
    "share_among_percentages": (
        "the number is between 0 and 1, and others in this column are percentages up to 100",
        "write all of them as percentages, 45 and not 0.45",
    ),
    "area_without_rows": (
        "the manifest claims areas that no accepted row comes from ({areas})",
        "take the areas out of geography.admin1 in the manifest, or send their rows",
    ),
    "national_claim": (
        "the manifest speaks for the whole country, and the rows come from {n} of {total} first-level areas; how many "
        "people live in them is not known here",
        "name the areas in geography.admin1, unless the sample was drawn from the whole country",
    ),
    "few_cases": (
        "{n} groups in {column} have fewer than {least} rows; no number is shown for them",
        "nothing for this hand-in; plan more interviews in these groups next time",
    ),
    "breaks_constraint": (
        "the answer is not possible by the rule of the form",
        "correct the answer; if the form was changed later, send the version that was used",
    ),
    "answered_though_skipped": (
        "the form skips this question here, and there is an answer",
        "correct this answer or the one that decides about it",
    ),
    "required_without_answer": (
        "the form requires an answer here, and there is none",
        "fill in the answer, or its code for don't know",
    ),
    "other_form": (
        "{n} of {checked} answers to {column} break the rules of the form, so that it is probably another version",
        "send the version of the form that was used",
    ),
    "corrections_explained": (
        "{explained} of {n} corrections say why; who decided: {roles}",
        "add the columns reason and decided_by to your cleaning log",
    ),
}
"""Reason and mending for each kind of finding; {…} are filled with names and counts, never with a cell."""

STATES = {
    "accepted": "accepted",
    "accepted_with_flags": "accepted, with things to mend",
    "waiting_for_review": "waiting for a person to look at it",
    "rejected": "not accepted yet",
}
NEXT = {
    "accepted": "Nothing to do. The data go into the next release, as far as the agreement allows.",
    "accepted_with_flags": "The rows that are right go into the next release. Mend what is listed and hand in again; "
    "the new version takes the place of this one.",
    "waiting_for_review": "The secretariat looks at it and writes to you. Nothing is published until then.",
    "rejected": "Nothing of this version is used. Mend what is listed first as 'blocks' and hand in again. "
    "An earlier version that was accepted stays in use.",
}
SEVERITIES = {
    "blocking": "blocks",
    "review": "a person decides",
    "warning": "accepted with a flag",
    "information": "for information",
}
EFFECTS = {
    "submission": "the whole hand-in",
    "row": "row left out",
    "cell": "answer left out",
    "refused": "row not read",
    "note": "please look",
}
WORKBOOK = {
    "summary": "Summary",
    "to_mend": "To mend",
    "rows": "Your rows",
    "state": "Result",
    "rows_in": "{accepted} of {rows} rows are in",
    "quarantined": "Rows left out and listed: {n}",
    "refused": "Rows without consent: {n}; their answers were not read and are kept nowhere",
    "progress": "{mended} of {before} faults of your last hand-in are mended, {new} are new",
    "next": "What happens next",
    "reasons": "Why",
    "again": "How to hand in the mended rows",
    "again_rows": "In the sheets with your rows, write the right answer into the coloured cells. To leave a row out, "
    "choose the word in its second column. Change nothing else; what you do not change stays as it is.",
    "again_files": "Save this workbook as .xlsx and put it beside your files, which stay as they were. Add it to the "
    "list of files in the manifest: role corrections, format feedback_xlsx. Then hand in the folder again.",
    "identifiers": "What was taken out because it says who a person is",
    "taken_out": "{column}: {kind}, {n} cells",
    "not_read": "Rows that were not read (numbers only)",
    "rules": "All rules",
    "mend_severity": "Severity",
    "mend_title": "What",
    "mend_where": "Where",
    "mend_n": "How often",
    "mend_written": "What is written",
    "mend_what": "What is wrong",
    "mend_why": "Why it matters",
    "mend_how": "How to mend",
    "mend_example": "Example",
    "mend_english": "In English",
    "row": "Row in your file",
    "leave_out_column": "Leave this row out?",
    "leave_out": "leave out",
    "todo": "What to mend here",
    "whole_row": "whole row",
    "whole_submission": "whole hand-in",
    "where_file": "file {name}",
    "where_sheet": "sheet {name}",
    "where_column": "column {name}",
    "where_place": "column number {n} ({letters} in a spreadsheet)",
    "where_rows": "row {numbers}",
    "not_shown": "(not shown)",
    "more_kinds": "{n} more kinds are not listed here; mend these first",
    "more_rows": "{n} more rows are not shown; mend the same things there",
    "and_more": "{shown} and {n} more",
    "header_note": "Columns that say who a person is and free texts are not repeated here.",
    "nothing": "Nothing to mend.",
    "passed": "right",
    "failed": "to mend",
    "not_applicable": "not asked of this hand-in",
    "draft": "This translation is a draft; the English text counts.",
    "short_kind": "{number}. {what} ({where}): {mend}",
    "short_brief": "{number}. {what} ({where})",
    "short_full": "The feedback workbook lists all.",
}
"""Words of the feedback, in the workbook and in the short text."""
KINDS = {
    "name": "a name",
    "phone": "a phone number",
    "email": "an e-mail address",
    "national_id": "a national identity number",
    "coordinates": "coordinates of a place",
    "address": "an address",
    "birth_date": "a date of birth",
    "media": "a picture, a sound or a signature",
    "device": "the number of a device",
    "user": "the account of an interviewer",
    "declared": "what the questionnaire declares as identifying",
}
"""Kinds of identifiers in words."""
UNITS = {
    "clusters": "clusters",
    "doses": "doses",
    "grade within the level": "grade within the level",
    "grades completed within the level": "grades completed within the level",
    "hours a day, mean of the seven days of the week": "hours a day, mean of the seven days of the week",
    "hours a week": "hours a week",
    "international dollars of 2021, a person and day": "international dollars of 2021, a person and day",
    "live births": "live births",
    "local currency, a household and month": "local currency, a household and month",
    "local currency, a person and month": "local currency, a person and month",
    "minutes, one way, on foot": "minutes, one way, on foot",
    "minutes, round trip with queuing": "minutes, round trip with queuing",
    "months": "months",
    "persons": "persons",
    "points of the scale": "points of the scale",
    "rooms": "rooms",
    "standard deviations": "standard deviations from the median of the WHO child growth standards",
    "visits": "visits",
    "weight": "weight",
    "years": "years",
}
"""Units of the question bank and of score cards, as limits of numbers are told in them."""
