"""The links of a page that say something about where they lead.

1. Links in menus, headers and footers (`nav`, `header`, `footer`, `aside`, ARIA's navigation) are left out, and those
   whose `rel` says that they lead through a series (`next`, `prev`) or are not the author's (`ugc`, `sponsored`).
2. A text is generic if it has no two letters, is a URL, or stands in a small list ("click here", "read more"); and, in
   any language, if it leads to more than one place on its page.
3. Addresses are compared by their `urls.key`.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pairmill.pairs.pages.urls import key, resolve

_CHROME = "nav, header, footer, aside, [role=navigation], [role=banner], [role=contentinfo]"
_REL = frozenset({"next", "prev", "previous", "up", "start", "contents", "index", "ugc", "sponsored", "tag"})
_URL = re.compile(r"(?:[a-z][a-z+.-]*://|www\.)\S+|\S+@\S+|[\w.-]+\.[a-z]{2,}/\S*", re.I)
_GENERIC = """
    here / click here / click / link / this / this page / this link / more / read more / learn more / see more /
    show more / view more / find out more / more info / more information / details / view details / view /
    view all / see all / full story / full article / continue / continue reading / next / previous / prev /
    back / up / top / home / index / contents / download / edit / reply / share / print / source / website /
    page / permalink / see also / hier / hier klicken / mehr / mehr lesen / mehr erfahren / weiterlesen /
    weiter / zurück / startseite / mehr informationen / nach oben / ici / cliquez ici / plus / lire plus /
    lire la suite / en savoir plus / suite / suivant / précédent / retour / accueil / voir plus / aquí /
    haga clic aquí / más / leer más / ver más / más información / seguir leyendo / siguiente / anterior /
    volver / inicio / aqui / clique aqui / mais / leia mais / saiba mais / ver mais / continue lendo / próximo /
    voltar / início / qui / clicca qui / leggi / leggi tutto / scopri di più / di più / continua /
    continua a leggere / avanti / successivo / precedente / indietro / klik hier / lees meer / meer /
    meer lezen / verder lezen / volgende / vorige / terug / tutaj / więcej / czytaj więcej / czytaj dalej /
    dalej / här / läs mer / mer / her / les mer / læs mere / mere / täältä / lue lisää / lisää / zde / více /
    číst dál / číst více / tovább / bővebben / itt / здесь / тут / читать далее / далее / подробнее / ещё /
    читать / вперёд / назад / детальніше / читати далі / тук / още / прочети още / buraya tıklayın / buradan /
    devamı / devamını oku / daha fazla / εδώ / περισσότερα / διαβάστε περισσότερα / mai mult /
    citește mai mult / هنا / اضغط هنا / المزيد / اقرأ المزيد / اینجا / بیشتر / ادامه مطلب / כאן / לחץ כאן /
    עוד / קרא עוד / यहाँ / यहां क्लिक करें / और पढ़ें / अधिक / xem thêm / tại đây / đọc thêm / selengkapnya /
    baca selengkapnya / di sini / klik di sini / baca juga / ที่นี่ / คลิกที่นี่ / อ่านต่อ / เพิ่มเติม /
    点击这里 / 这里 / 更多 / 阅读更多 / 查看更多 / 详情 / 全文 / 下一页 / 上一页 / 返回 / 點擊這裡 / 這裡 /
    閱讀更多 / 返回首頁 / こちら / ここ / ここをクリック / 詳細 / 詳しく見る / 詳細はこちら / 続きを読む /
    もっと見る / 次へ / 前へ / 戻る / 여기 / 더 보기 / 더보기 / 자세히 보기 / 다음 / 이전
"""
#: Texts that name no target, folded, in the languages of most pages. Others show by leading to many places.
GENERIC = frozenset(" ".join(_GENERIC.split()).split(" / "))


class Link(NamedTuple):
    """A link's text, on one line, and the key of the address it leads to (see `urls.key`)."""

    text: str
    target: str


def links(page: Any) -> list[Link]:
    """The links of a `Page` to other pages that have a telling text, in order; each once."""
    here = {key(page.address or ""), key(page.url or "")}
    found: dict[str, dict[str, None]] = {}
    for node in page.select("a[href]"):
        text = " ".join((node.text or "").split())
        if generic(text) or _REL & set((node.getattr("rel") or "").lower().split()):
            continue
        target = key(resolve(page.base, node.getattr("href")))
        spelt_out = "." in text and text.casefold() in target  # a host's name
        if target and target not in here and not spelt_out and node.closest(_CHROME) is None:
            found.setdefault(text, {})[target] = None
    return [Link(text, next(iter(targets))) for text, targets in found.items() if len(targets) == 1]


def generic(text: str) -> bool:
    """Whether a link's text says nothing about its target."""
    if sum(map(str.isalpha, text)) < 2:
        return True
    return bool(_URL.fullmatch(text)) or text.casefold().strip(" .…:;!»›>→←<«‹[]()") in GENERIC
