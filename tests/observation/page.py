"""What a person sees of the page "Resource observation": the numbers of the service, in both colour schemes, readable."""
import base64
import json
import os
import pathlib
import sys
import time

from odps import ODPS
from odps.apis.storage_api import StorageApiArrowClient, TableBatchScanRequest, ReadRowsRequest
from playwright.sync_api import sync_playwright
import requests

URL = os.environ["MS_TEST_URL"]
OUT = pathlib.Path(os.environ["MS_TEST_OUT"])
PAGE = f"{URL}/_maxstorage/observation"
MIN_TEXT_CONTRAST = 4.5  # WCAG 2.1, level AA
MIN_SHAPE_CONTRAST = 3.0
EVIL = "<img src=x onerror=alert(1)>"

passed, failed = 0, 0


def check(ok, what):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print(f"FAILED {what}")


def sql(*statements):
    """Statements of the operator; the profile allows nothing before them."""
    for statement in statements:
        answer = requests.post(f"{URL}/_maxstorage/statements", json={"project": "local", "statement": statement}, timeout=20)
        assert answer.ok, answer.text


def traffic():
    """Reads a table whole, leaves one read open, and asks for what it does not get. Returns rows and the open read."""
    sql("SET TENANT PROPERTY storage_api_switch=true;")
    odps = ODPS("local", "local", project="local", endpoint=f"{URL}/api", tunnel_endpoint=URL)
    client = StorageApiArrowClient(odps, odps.get_table("lineitem"))
    session = client.create_read_session(TableBatchScanRequest())
    rows = 0
    for split in range(session.split_count):
        reader = client.read_rows_arrow(ReadRowsRequest(session_id=session.session_id, split_index=split))
        while (batch := reader.read()) is not None:
            rows += batch.num_rows
    # From now on a read stalls in the middle, and a refusal has a message that would like to be an element.
    plan = [{"match": {"action": "TableRead"}, "effect": {"kind": "stall", "after_bytes": 1_000_000}},
            {"match": {"action": "ListSchemas"}, "effect": {"kind": "error", "status": 503, "message": EVIL}}]
    assert requests.put(f"{URL}/_maxstorage/faults", json=plan, timeout=20).ok
    reader = client.read_rows_stream(ReadRowsRequest(session_id=session.session_id, split_index=0))
    assert reader.read(1000)
    requests.get(f"{URL}/api/projects/local/tables/{EVIL}", timeout=20)
    requests.get(f"{URL}/api/projects/local/schemas", timeout=20)
    return rows, reader


# Runs in the page: every piece of text with its colour and what lies behind it, and every line of a chart.
CONTRASTS = """
() => {
  const parse = text => { const n = text.match(/[\\d.]+/g).map(Number); return {r: n[0], g: n[1], b: n[2], a: n[3] ?? 1}; };
  const channel = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const luminance = c => 0.2126 * channel(c.r) + 0.7152 * channel(c.g) + 0.0722 * channel(c.b);
  const ratio = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const behind = e => {
    for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a > 0) return c; }
    return null;
  };
  const texts = [], shapes = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim(), element = walk.currentNode.parentElement;
    if (!text || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const colour = element instanceof SVGElement ? style.fill : style.color;
    texts.push({text, ratio: ratio(parse(colour), behind(element))});
  }
  for (const line of document.querySelectorAll('polyline'))
    shapes.push({name: line.className.baseVal, ratio: ratio(parse(getComputedStyle(line).stroke), behind(line))});
  for (const bar of document.querySelectorAll('rect.fill'))
    shapes.push({name: 'bar', ratio: ratio(parse(getComputedStyle(bar).fill), behind(bar))});
  return {texts, shapes};
}
"""

# Runs in an empty page: what an image consists of.
PIXELS = """
async data => {
  const image = new Image();
  image.src = 'data:image/png;base64,' + data;
  await image.decode();
  const canvas = document.createElement('canvas');
  canvas.width = image.width; canvas.height = image.height;
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, image.width, image.height).data;
  const colours = new Map();
  let light = 0;
  for (let i = 0; i < pixels.length; i += 4) {
    const colour = pixels[i] * 65536 + pixels[i + 1] * 256 + pixels[i + 2];
    colours.set(colour, (colours.get(colour) ?? 0) + 1);
    light += (pixels[i] + pixels[i + 1] + pixels[i + 2]) / 765;
  }
  return {colours: [...colours], light: light / (pixels.length / 4)};
}
"""


def hexadecimal(text):
    return int(text.strip().lstrip("#"), 16)


def look(browser, scheme, rows):
    page = browser.new_page(color_scheme=scheme, viewport={"width": 1280, "height": 900})
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(PAGE)
    check(page.title().startswith("Resource observation"), f"{scheme}: the title is {page.title()}")
    check(asked == [PAGE], f"{scheme}: the page loads nothing else: {asked}")
    check(complaints == [], f"{scheme}: the browser complains: {complaints}")
    check(page.locator("script, img, iframe, link").count() == 0, f"{scheme}: names become elements")
    body = page.inner_text("body")
    check(EVIL in body, f"{scheme}: a message is shown as it is")
    number = f"{rows:,}".replace(",", "\u202f")
    for wanted in ("pay-as-you-go", "local.default.lineitem", number, "TableRead", "ServiceUnavailable", "1.00 TiB", "10.0 MiB/s"):
        check(wanted in body, f"{scheme}: \"{wanted}\" is on the page")
    for heading in ("Quotas", "Running requests", "Sessions", "Calls since the start", "Recent errors"):
        check(page.locator("h2", has_text=heading).count() == 1, f"{scheme}: the heading {heading}")
    running = page.locator("section", has=page.locator("h2", has_text="Running requests"))
    check("lineitem" in running.inner_text(), f"{scheme}: the open read is shown")
    check("fault plan of 2 rules in force" in body, f"{scheme}: the fault plan is mentioned")
    found = page.evaluate(CONTRASTS)
    check(len(found["texts"]) > 100 and len(found["shapes"]) >= 5, f"{scheme}: there is something to see")
    for text in found["texts"]:
        check(text["ratio"] >= MIN_TEXT_CONTRAST, f"{scheme}: \"{text['text']}\" has contrast {text['ratio']:.2f}")
    for shape in found["shapes"]:
        check(shape["ratio"] >= MIN_SHAPE_CONTRAST, f"{scheme}: {shape['name']} has contrast {shape['ratio']:.2f}")
    colours = {name: page.evaluate(f"getComputedStyle(document.documentElement).getPropertyValue('--{name}')")
               for name in ("page", "card", "series-1", "series-2")}
    wide = page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    check(wide, f"{scheme}: the page is as wide as its window")
    picture = page.screenshot(path=OUT / f"{scheme}.png", full_page=True)
    chart = page.locator("figure").first.screenshot()
    page.close()
    empty = browser.new_page()
    shot = empty.evaluate(PIXELS, base64.b64encode(picture).decode())
    drawn = {colour for colour, _ in empty.evaluate(PIXELS, base64.b64encode(chart).decode())["colours"]}
    empty.close()
    check(len(shot["colours"]) > 50, f"{scheme}: the screenshot has {len(shot['colours'])} colours")
    for series in ("series-1", "series-2"):
        check(hexadecimal(colours[series]) in drawn, f"{scheme}: {series} is drawn in the chart")
    seen = {colour for colour, _ in shot["colours"]}
    check({hexadecimal(colours["page"]), hexadecimal(colours["card"])} <= seen, f"{scheme}: its background colours")
    return shot["light"]


rows, reader = traffic()
time.sleep(2.5)  # two seconds of history, so that lines are lines
status = requests.get(f"{URL}/_maxstorage/status", timeout=20).json()
metered = [row for row in status["usage"] if row["table"] == "lineitem" and row["operation"] == "ReadRows"]
# The open read counts as far as it has come.
check(metered and metered[0]["rows"] >= rows > 0, f"the status counts {metered}, {rows} rows were read")
check(any(view["table"] == "lineitem" for view in status["running"]), "the status shows the open read")
metrics = requests.get(f"{URL}/metrics", timeout=20).text
check('maxstorage_request_total{operation="ListSchemas",protocol="service",code="503"} 1\n' in metrics, "metrics count the refusal")
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=os.environ["MS_TEST_BROWSER"], args=["--no-sandbox"])
    shown = sum(row["rows"] for row in status["usage"] if row["table"] == "lineitem")
    light = look(browser, "light", shown)
    dark = look(browser, "dark", shown)
    browser.close()
check(light > 0.8 and dark < 0.3, f"light is {light:.2f} light, dark {dark:.2f}")
del reader
print(f"screenshots: {OUT}/light.png and dark.png; light {light:.2f}, dark {dark:.2f}")
print(f"{passed} passed, {failed} failed, 0 skipped")
sys.exit(failed != 0)
