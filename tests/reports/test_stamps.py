"""What was not private says so in red at the top of everything, and cannot be made to look otherwise."""

import json
import shutil

import pytest

from securefed import runs
from securefed.errors import SecureFedError, VerificationError
from securefed.privacy.book import SEEDED
from securefed.reports import render
from securefed.reports.report import RunRecord, build
from securefed.reports.verify import verify
from securefed.rng import secure, seeded


@pytest.fixture(scope="module")
def denying_run(small_plan, tmp_path_factory):
    """Its server was told that noise and keys are secret, and was given an audit's result."""
    out = tmp_path_factory.mktemp("denying")
    (out / "found.json").write_text(json.dumps(audit()))
    sources = lambda purpose, number, client: secure() if number == 0 else seeded(1, purpose, number, client)  # noqa: E731
    runs.execute(small_plan, out / "run", rng=sources, audit=out / "found.json")
    return out / "run"


@pytest.mark.parametrize("run", ["seeded_run", "open_run"])
def test_a_run_that_was_not_private_says_so_first_in_every_rendering(run, request):
    folder = request.getfixturevalue(run)
    report = verify(folder).report
    markdown, html = ((folder / f"report.{kind}").read_text() for kind in ("md", "html"))

    assert report["private"] is False
    assert report["warnings"][0].startswith("NOT PRIVATE")
    assert markdown.startswith("# NOT PRIVATE: privacy report\n\n> **NOT PRIVATE")
    assert "<title>NOT PRIVATE: " in html
    assert html.index('<div class="stamp" role="alert">\n<p>NOT PRIVATE') < html.index("<main>")
    assert html.count('<span class="violated">NOT PRIVATE:</span>') == html.count("<figure")
    assert "is right in more than" not in html + markdown


def test_a_guarantee_that_is_void_is_called_so_wherever_its_figures_stand(seeded_run):
    """The figures are shown, because they follow from the ledger; nobody can take them for a promise."""
    html, markdown = ((seeded_run / f"report.{kind}").read_text() for kind in ("html", "md"))

    assert '<dd class="violated">void<small>it would be ε = ' in html
    assert '<p class="violated">Void. What follows would hold' in html
    assert "| Budget spent | VOID, see above; it would be" in markdown
    assert "**VOID: what follows would hold" in markdown
    assert "The guarantee is void." in html


def test_a_private_run_carries_no_stamp(finished):
    html = (finished / "report.html").read_text()

    assert "NOT PRIVATE" not in html
    assert '<div class="stamp"' not in html


def test_an_open_run_is_not_confidential_either(open_run):
    report = verify(open_run).report

    assert report["warnings"][1].startswith("NOT CONFIDENTIAL")
    assert report["epsilon"] is None
    assert "unbounded" in (open_run / "report.html").read_text()


def test_every_charge_of_seeded_noise_says_so_in_its_clients_ledger(seeded_run, finished):
    purposes = {
        folder: {entry.purpose for book in RunRecord.read(folder).ledgers.values() for entry in book.entries}
        for folder in (seeded_run, finished)
    }

    assert purposes == {seeded_run: {SEEDED}, finished: {"train"}}
    assert "violated" in {item["status"] for item in build(RunRecord.read(seeded_run))["assumptions"]}


def without_stamp(report):
    report["warnings"] = []
    report["private"] = True


@pytest.mark.parametrize("run", ["seeded_run", "open_run"])
def test_a_stamp_that_was_taken_out_of_the_report_is_missed(run, request, tmp_path):
    """With everything rendered again from the better report."""
    folder = shutil.copytree(request.getfixturevalue(run), tmp_path / "run")
    report = json.loads((folder / "report.json").read_text())
    without_stamp(report)
    render.write(report, folder)

    with pytest.raises(VerificationError, match=r"report\.json:\d+: .*report\.warnings"):
        verify(folder)


@pytest.mark.parametrize("name", ["report.html", "report.md"])
def test_a_stamp_that_was_taken_out_of_a_rendering_is_missed(seeded_run, tmp_path, name):
    folder = shutil.copytree(seeded_run, tmp_path / "run")
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace("NOT PRIVATE", "PRIVATE"))

    with pytest.raises(VerificationError, match=name.replace(".", r"\.")):
        verify(folder)


def test_metrics_that_deny_the_seed_are_found(seeded_run, tmp_path):
    folder = shutil.copytree(seeded_run, tmp_path / "run")
    text = (folder / "metrics.jsonl").read_text()
    (folder / "metrics.jsonl").write_text(text.replace('"secret_noise": false', '"secret_noise": true'))

    with pytest.raises(VerificationError, match=r"metrics\.jsonl:1"):
        verify(folder)


def test_a_server_that_denies_the_seed_is_contradicted_by_its_clients(denying_run):
    """Even one that writes the metrics as it likes: the clients' ledgers are signed by them."""
    record = RunRecord.read(denying_run)

    assert record.start.secret_noise
    assert build(record)["warnings"][0].startswith("NOT PRIVATE")


def test_an_earlier_run_with_seeded_noise_on_the_same_data_stamps_the_later_one(small_plan, seeded_run, tmp_path):
    books = shutil.copytree(seeded_run.parent / "books", tmp_path / "books")
    runs.execute(small_plan, tmp_path / "run", ledgers=books)
    record = RunRecord.read(tmp_path / "run")

    assert record.start.secret_noise
    assert build(record)["private"] is False


def audit(claimed=4.0, gaussian=3.0, bug=6.0):
    methods = lambda value: {"paired": {"claimed": claimed, "gaussian": value, "any": 1.0}}  # noqa: E731
    return {"delta": 1e-5, "confidence": 0.95, "audits": {"none": methods(gaussian), "noise_halved": methods(bug)}}


def with_audit(folder, content):
    (folder / "audit.json").write_text(json.dumps(content))
    render.write_report(folder)
    return verify(folder).report


def test_an_audit_below_the_claim_is_shown_beside_it(finished):
    report = with_audit(finished, audit())

    assert report["private"] is True
    assert report["audit"]["failed"] == []
    assert "below the claim" in (finished / "report.md").read_text()
    assert "bug found" in (finished / "report.html").read_text()


def test_an_audit_above_the_claim_is_stamped_and_the_run_not_called_private(finished):
    report = with_audit(finished, audit(gaussian=4.5))

    assert report["private"] is False
    assert report["warnings"] == [
        "AUDIT FAILED: an attack (paired) achieved at least epsilon 4.5 where 4 is claimed; the claim is wrong."
    ]
    assert "<p>AUDIT FAILED" in (finished / "report.html").read_text()
    assert "ABOVE THE CLAIM" in (finished / "report.md").read_text()


def test_an_audit_that_misses_its_own_bug_says_so(finished):
    with_audit(finished, audit(bug=2.0))

    assert "bug not found" in (finished / "report.html").read_text()


def test_a_changed_audit_is_found(finished):
    with_audit(finished, audit(gaussian=4.5))
    (finished / "audit.json").write_text(json.dumps(audit(gaussian=3.5)))

    with pytest.raises(VerificationError, match=r"report\.json:\d+"):
        verify(finished)


def test_a_failed_audit_that_the_server_signed_cannot_be_taken_out(finished, reseal):
    """Put into the run before it was over, it is one of its files; one that came later is nobody's word."""
    (finished / "audit.json").write_text(json.dumps(audit(gaussian=4.5)))
    reseal()
    render.write_report(finished)
    assert verify(finished).report["audit"]["signed_by_the_server"] is True

    (finished / "audit.json").unlink()
    with pytest.raises(VerificationError, match=r"audit\.json: it is listed in files\.json and cannot be read"):
        verify(finished)


def test_an_audit_that_is_given_to_a_run_is_signed_with_it(denying_run):
    assert build(RunRecord.read(denying_run))["audit"]["signed_by_the_server"] is True


@pytest.mark.parametrize("content", [{}, {"audits": {}}, audit() | {"audits": {"noise_halved": {}}}, {"delta": "x"}])
def test_a_file_that_is_no_audit_is_named(finished, content):
    (finished / "audit.json").write_text(json.dumps(content))

    with pytest.raises(SecureFedError, match=r"audit\.json"):
        render.write_report(finished)


def test_without_an_audit_the_report_says_that_none_was_made(finished):
    assert "No audit of this run was made" in (finished / "report.html").read_text()
    assert "No audit of this run was made" in (finished / "report.md").read_text()


def test_sums_whose_records_do_not_hold_are_stamped(finished):
    path = finished / "transcript" / "0002.jsonl"
    path.write_text(path.read_text().replace('"client":"client-0"', '"client":"client-3"', 1))
    report = build(RunRecord.read(finished))

    assert report["warnings"][0].startswith("NOT VERIFIED: the record of a secure sum does not hold: transcript/0002")
    assert report["secure_sum"]["transcript"]["verified"] is False
    assert "violated" in {item["status"] for item in report["assumptions"]}
