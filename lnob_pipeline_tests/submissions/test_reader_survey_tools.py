"""Exports of survey tools: KoboToolbox CSV, ODK Central OData, SurveyCTO, Google Forms, mWater, as they come."""

from __future__ import annotations

import copy
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lnob_pipeline.submissions.manifest import DataFile
from lnob_pipeline.submissions.readers import ReaderError, SourceTable, read_file


def file(path: str, kind: str, **more: object) -> DataFile:
    return DataFile.model_validate({"path": path, "role": "data", "format": kind, **more})


def zipped(parts: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return stream.getvalue()


class TestKoboCsv:
    def test_real_exports_and_what_they_lack(self, shared: Path) -> None:
        folder = shared / "citizen/kobo_formpack/exports"
        read = 0
        for path in sorted(folder.glob("*.xml.*.csv")):
            if "restaurant_profile.xml.details" in path.name:
                continue  # below
            table = next(iter(read_file(path.read_bytes(), file(path.name, "kobo_csv")).values()))
            assert "_index" in table.frame.columns and table.row_numbers[0] == 2
            assert any("repeated questions" in note.text for note in table.notes)
            read += 1
        assert read == 32
        both = next(
            iter(read_file((folder / "dietary_needs.xml.both.csv").read_bytes(), file("d.csv", "kobo_csv")).values())
        )
        assert both.frame.row(1, named=True)["dietary_accommodations/vegan"] == "1"

    def test_a_real_export_with_a_cell_too_many_names_the_row(self, shared: Path) -> None:
        path = shared / "citizen/kobo_formpack/exports/restaurant_profile.xml.details.csv"
        with pytest.raises(ReaderError, match="15 cells and the header has 14") as error:
            read_file(path.read_bytes(), file("r.csv", "kobo_csv"))
        assert error.value.row == 4

    def test_labels_that_stand_twice_are_an_error(self, shared: Path) -> None:
        path = shared / "citizen/kobo_formpack/exports/site_inspection.labels.both.csv"
        with pytest.raises(ReaderError, match=r"columns 3, 9\)") as error:
            read_file(path.read_bytes(), file("s.csv", "kobo_csv"))
        assert "XML values and headers" in error.value.mend

    def test_an_edited_file(self) -> None:
        with pytest.raises(ReaderError, match="_index is not there"):
            read_file(b'"q";"r"\n"1";"2"\n', file("k.csv", "kobo_csv"))
        saved_again = read_file(b"_index,q\n1,a\n", file("k.csv", "kobo_csv"))["k"]
        assert saved_again.frame.rows() == [("1", "a")]


ODATA: dict[str, Any] = {
    "value": [
        {
            "__id": "uuid:1",
            "__system": {
                "submissionDate": "2021-03-04T05:06:07.000Z",
                "updatedAt": None,
                "deletedAt": None,
                "submitterId": "5",
                "submitterName": "Alice",
                "attachmentsPresent": 0,
                "attachmentsExpected": 0,
                "status": None,
                "reviewState": "approved",
                "deviceId": "testid",
                "edits": 1,
                "formVersion": "1.0",
            },
            "meta": {"instanceID": "uuid:1"},
            "name": "Vick",
            "count": 7,
            "water": {
                "source": "well tap",
                "place": {"type": "Point", "coordinates": [34.75, -0.1, 1130.5], "properties": {"accuracy": 4.9}},
            },
            "path": {"type": "LineString", "coordinates": [[1, 2], [3, 4]]},
            "children": {
                "child@odata.navigationLink": "Submissions('uuid:1')/children/child",
                "child": [
                    {"__id": "c1", "__Submissions-id": "uuid:1", "name": "Ali", "toys": {}},
                    {
                        "__id": "c2",
                        "__Submissions-id": "uuid:1",
                        "name": "Bo",
                        "toys": {
                            "toy@odata.navigationLink": "Submissions('uuid:1')/children/child('c2')/toys/toy",
                            "toy": [{"__id": "t1", "__Submissions-children-child-id": "c2", "name": "ball"}],
                        },
                    },
                ],
            },
        },
        {
            "__id": "uuid:2",
            "__system": {"reviewState": None, "edits": 0},
            "name": "Zoë",
            "count": None,
            "children": {"child@odata.navigationLink": "Submissions('uuid:2')/children/child", "child": []},
        },
    ],
    "@odata.context": "https://central.example/v1/projects/1/forms/double%20repeat.svc/$metadata#Submissions",
}


def odk(change: dict[str, Any] | None = None, **more: object) -> dict[str, SourceTable]:
    content = json.dumps(change or ODATA, ensure_ascii=False).encode()
    return read_file(content, file("pulled.json", "odk_json", **more))


class TestOdkJson:
    def test_tables_are_those_of_the_csv_export(self) -> None:
        tables = odk()
        assert list(tables) == ["double repeat", "double repeat-child", "double repeat-toy"]
        main, child, toy = tables.values()
        assert main.frame.row(0, named=True) == {
            "SubmissionDate": "2021-03-04T05:06:07.000Z", "UpdatedAt": None, "SubmitterID": "5",
            "SubmitterName": "Alice", "AttachmentsPresent": "0", "AttachmentsExpected": "0",
            "Status": None, "ReviewState": "approved",
            "DeviceID": "testid", "Edits": "1", "FormVersion": "1.0", "meta-instanceID": "uuid:1", "name": "Vick",
            "count": "7", "water-source": "well tap", "water-place-Longitude": "34.75", "water-place-Latitude": "-0.1",
            "water-place-Altitude": "1130.5", "water-place-Accuracy": "4.9", "path": "[[1, 2], [3, 4]]",
            "KEY": "uuid:1",
        }  # fmt: skip
        assert main.row_numbers.to_list() == [2, 3] and main.frame["name"].to_list() == ["Vick", "Zoë"]
        assert child.frame.rows(named=True) == [
            {"name": "Ali", "KEY": "c1", "PARENT_KEY": "uuid:1"},
            {"name": "Bo", "KEY": "c2", "PARENT_KEY": "uuid:1"},
        ]
        assert toy.frame.rows(named=True) == [{"name": "ball", "KEY": "t1", "PARENT_KEY": "c2"}]

    def test_a_bare_list_is_named_as_the_file(self) -> None:
        content = json.dumps(ODATA["value"]).encode()
        assert list(read_file(content, file("pulled.json", "odk_json"))) == ["pulled", "pulled-child", "pulled-toy"]

    def test_repeats_of_the_same_name_stay_apart(self) -> None:
        change = copy.deepcopy(ODATA)
        change["value"][0]["other"] = {"child": [{"__id": "o1", "name": "Other"}]}
        assert list(odk(change)) == [
            "double repeat",
            "double repeat-child",
            "double repeat-toy",
            "double repeat-other-child",
        ]

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"@odata.nextLink": "https://central.example/?$skiptoken=1"}, "there are more"),
            ({"@odata.count": 250}, "there are more"),
            ({"@odata.context": "x/forms/f.svc/$metadata#Submissions.children.child"}, "a repeat alone"),
            ({"value": []}, "no submission"),
            ({"value": {}}, "not a list"),
            ({"value": [{"name": "x"}]}, "no id"),
            ({"value": [{"__id": "a", "tags": ["x"]}]}, "is a list"),
            ({"value": [{"__id": "a", "__system": {"deletedAt": "2021-01-01"}}]}, "was deleted"),
            ({"value": ["x"]}, "not a set of answers"),
        ],
    )
    def test_what_is_not_the_whole_set_is_refused(self, change: dict[str, Any], words: str) -> None:
        with pytest.raises(ReaderError, match=words):
            odk(ODATA | change)

    def test_repeats_that_are_links_are_refused(self) -> None:
        change = copy.deepcopy(ODATA)
        for submission in change["value"]:
            del submission["children"]["child"]
        with pytest.raises(ReaderError, match="links only") as error:
            odk(change)
        assert "$expand=*" in error.value.mend

    def test_damage(self) -> None:
        with pytest.raises(ReaderError, match="not JSON") as error:
            read_file(json.dumps(ODATA, indent=1).encode()[:300], file("p.json", "odk_json"))
        assert error.value.row
        with pytest.raises(ReaderError, match="not JSON"):
            read_file(b'{"value": [{"__id": "a", "q": 1, "q": 2}]}', file("p.json", "odk_json"))


class TestSurveyCto:
    WIDE = (
        b"CompletionDate,SubmissionDate,starttime,deviceid,devicephonenum,consent,name_1,name_2,instanceID,"
        b"formdef_version,review_status,KEY\n"
        b'"Oct 10, 2015 6:26:24 PM","Oct 10, 2015 6:26:24 PM","Oct 10, 2015 6:24:34 PM",990,508,1,a,b,uuid:4,'
        b"14,APPROVED,uuid:4\n"
    )

    def test_wide_csv_stays_wide(self) -> None:
        table = read_file(self.WIDE, file("hh_WIDE.csv", "surveycto_csv"))["hh_WIDE"]
        row = table.frame.row(0, named=True)
        assert row["name_2"] == "b" and row["KEY"] == "uuid:4" and row["CompletionDate"] == "Oct 10, 2015 6:26:24 PM"

    def test_long_csv_in_a_zip(self) -> None:
        parts = {
            "hh.csv": b"SubmissionDate,hhid,SET-OF-members,KEY\nx,1,uuid:4/members,uuid:4\n",
            "hh-members.csv": b"age,PARENT_KEY,KEY,SET-OF-members\n30,uuid:4,uuid:4/members[1],uuid:4/members\n",
            "hh_correction_log.csv": b"field,old,new\nage,1,2\n",
        }
        tables = read_file(zipped(parts), file("hh.zip", "surveycto_csv"))
        assert set(tables) == {"hh", "hh-members"}
        assert tables["hh-members"].frame["PARENT_KEY"].to_list() == ["uuid:4"]
        assert any("log of corrections" in note.text for table in tables.values() for note in table.notes)

    def test_without_key(self) -> None:
        for content, path in ((b"a,b\n1,2\n", "a.csv"), (zipped({"a.csv": b"a,b\n1,2\n"}), "a.zip")):
            with pytest.raises(ReaderError, match="KEY is not there"):
                read_file(content, file(path, "surveycto_csv"))
        with pytest.raises(ReaderError, match="no CSV"):
            read_file(zipped({"a.txt": b"a"}), file("a.zip", "surveycto_csv"))

    def test_json_of_the_server(self) -> None:
        rows = [
            {"CompletionDate": "Oct 10, 2015 6:26:24 PM", "age": "007", "note": "", "KEY": "uuid:4"},
            {"CompletionDate": "Oct 13, 2015 10:53:04 AM", "age": "42", "late": "x", "KEY": "uuid:5"},
        ]
        table = read_file(json.dumps(rows).encode(), file("hh.json", "surveycto_json"))["hh"]
        assert table.frame.columns == ["CompletionDate", "age", "note", "KEY", "late"]
        assert table.frame["age"].to_list() == ["007", "42"] and table.frame["late"].to_list() == [None, "x"]

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"[]", "no submission"),
            (b'{"error": {"code": 417, "message": "Please wait"}}', "not a list"),
            (b'[{"a": "1"}]', "KEY is not there"),
            (b'[{"KEY": "1", "a": ["x"]}]', "object or a list"),
        ],
    )
    def test_json_that_is_no_data(self, content: bytes, words: str) -> None:
        with pytest.raises(ReaderError, match=words):
            read_file(content, file("hh.json", "surveycto_json"))


class TestGoogleForms:
    TEXT = (
        b'Timestamp,"Email Address","Where do you get water, mostly?","Which of these do you own?"\r\n'
        b'2021/03/04 5:06:07 PM GMT+3,a@b.org,"Piped, into yard","Radio, Bicycle, Cart, pulled by ox"\r\n'
    )

    @pytest.mark.parametrize("packed", [False, True])
    def test_questions_are_headers(self, packed: bool) -> None:
        content = zipped({"Survey.csv": self.TEXT}) if packed else self.TEXT
        table = next(iter(read_file(content, file("answers.csv", "google_forms_csv")).values()))
        assert table.frame.columns[2] == "Where do you get water, mostly?"
        assert table.frame.row(0)[3] == "Radio, Bicycle, Cart, pulled by ox"

    def test_a_zip_of_two(self) -> None:
        with pytest.raises(ReaderError, match="2 CSV files"):
            read_file(zipped({"a.csv": b"a", "b.csv": b"b"}), file("answers.zip", "google_forms_csv"))


class TestMwater:
    def test_real_exports_as_csv_and_as_xlsx_read_alike(self, shared: Path) -> None:
        for name, height in (
            ("owd_dowa_malawi/inst/extdata/dowalatrinesurvey", 89),
            ("owd_nchalo_malawi/inst/extdata/nchalohhwatersurvey", 74),
        ):
            csv, xlsx = (
                next(
                    iter(
                        read_file(
                            (shared / f"citizen/{name}.{kind}").read_bytes(), file(f"a.{kind}", "mwater")
                        ).values()
                    )
                )
                for kind in ("csv", "xlsx")
            )
            assert csv.frame.columns == xlsx.frame.columns and csv.frame.height == xlsx.frame.height == height
        assert (
            "Piped into yard/plot"
            in read_file(
                (shared / "citizen/owd_dowa_malawi/inst/extdata/dowalatrinesurvey.csv").read_bytes(),
                file("a.csv", "mwater"),
            )["a"]
            .frame["water_source"]
            .to_list()
        )
