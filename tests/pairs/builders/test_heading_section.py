from pathlib import Path

from recordkit import from_jsonl

TEXT = "Enough words to be a section of its own, and not to be taken for a menu."
PAGE = f"""<html lang=en><title>Bridges</title><body><nav><h2>Menu</h2><a href=/>Home</a></nav><main>
<h1>Bridges</h1><p>Intro. {TEXT}</p>
<h2>Types<a class=headerlink href=#types>¶</a></h2><p>Types. {TEXT}</p>
<h3>Arch</h3><p>Arch. {TEXT}</p>
<h3>Beam</h3><p>Short.</p>
<h2>History</h2><p>History. {TEXT}</p></main><footer><h2>About us</h2><p>{TEXT}</p></footer>"""


def test_a_section_reaches_to_the_next_heading_of_its_level(tmp_path: Path) -> None:
    made = from_jsonl(tmp_path, "heading-section", {"html": PAGE})
    assert dict(made.texts) == {
        "Bridges": f"Intro. {TEXT}\nTypes\nTypes. {TEXT}\nArch\nArch. {TEXT}\nBeam\nShort.\nHistory\nHistory. {TEXT}",
        "Types": f"Types. {TEXT}\nArch\nArch. {TEXT}\nBeam\nShort.",
        "Arch": f"Arch. {TEXT}",
        "History": f"History. {TEXT}",
    }
    assert {row["origin_row"] for row in made.rows} == {0} and made.parsed == 1


def test_sections_can_do_without_subsections_and_with_their_path(tmp_path: Path) -> None:
    builder = {"name": "heading-section", "subsections": False, "path": True, "min_chars": 1}
    made = from_jsonl(tmp_path, builder, {"html": PAGE})
    assert made.texts == [
        ("Bridges", f"Intro. {TEXT}"),
        ("Bridges › Types", f"Types. {TEXT}"),
        ("Bridges › Types › Arch", f"Arch. {TEXT}"),
        ("Bridges › Types › Beam", "Short."),
        ("Bridges › History", f"History. {TEXT}"),
    ]


def test_pages_without_headings_or_sections_are_counted(tmp_path: Path) -> None:
    made = from_jsonl(
        tmp_path,
        "heading-section",
        {"html": PAGE},
        {"html": f"<title>t</title><main><p>{TEXT}</main>"},
        {"html": "<main><h1>One</h1><h2>Two</h2><p>Short.</main>"},
        {"html": f"<main><h2>Same</h2><p>{TEXT}</p><h2>Same</h2><p>{TEXT}</p></main>"},
        {"html": {}},
    )
    assert made.no_pair == {"no_heading": 1, "no_section": 1} and made.errors == {"wrong_record": 1}
    assert made.texts[-1] == ("Same", TEXT) and made.texts.count(("Same", TEXT)) == 1


def test_a_long_heading_is_not_repeated_in_the_paths_of_all_below_it(tmp_path: Path) -> None:
    below = "".join(f"<h2>Part {n}</h2><p>What there is to say about part {n}.</p>" for n in range(50))
    page = {"html": f"<title>T</title><body><h1>{'long ' * 1000}</h1>{below}</body>"}
    anchors = [row["anchor"] for row in from_jsonl(tmp_path, {"name": "heading-section", "path": True}, page).rows]
    assert anchors[1:] == [f"T › Part {n}" for n in range(50)]
