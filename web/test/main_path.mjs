// Goes the main path of the page in Firefox, over WebDriver BiDi: `node main_path.mjs FIREFOX LINK KEYS FRAGMENT`. LINK signs
// in, KEYS find a pod with bash, FRAGMENT is the shell's. Prints how long each step took; exit status 1 with the step that
// failed and what the page showed, or with what the page should not have written or asked for.
import puppeteer from "puppeteer-core";

const [executablePath, link, keys, fragment] = process.argv.slice(2);
const LIMIT = 15_000; // milliseconds for anything that a step waits for
const LINES = 900; // the page keeps a hundred more over a reload
const COUNT = `seq ${LINES} | while read n; do echo "line $n"; [ $((n % 20)) = 0 ] && sleep 0.03; done`;
const COPY = String.raw`printf '\033]52;c;%s\a' $(printf 'echo o""ne\necho t""wo\n' | base64)`; // OSC 52

const problems = [];
const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath,
  defaultViewport: { width: 1000, height: 620 },
  extraPrefsFirefox: { "webgl.disabled": true }, // the page draws without it then, and its text can be read
});
let page = await watched(await browser.newPage());

async function watched(opened) {
  opened.setDefaultTimeout(LIMIT);
  opened.on("console", (message) => ["error", "warn"].includes(message.type()) && problems.push(message.text()));
  opened.on("pageerror", (error) => problems.push(`uncaught: ${error}`));
  opened.on("request", (request) => allowed(request.url()) || problems.push(`asked for ${request.url()}`));
  opened.on("dialog", (dialog) => (dialog.type() === "beforeunload" ? dialog.accept() : problems.push(dialog.message())));
  await opened.evaluateOnNewDocument(() => addEventListener("securitypolicyviolation", (event) => console.error(event.violatedDirective, event.sample)));
  return opened;
}

const steps = {
  async "a sign-in link opens the list"() {
    await page.goto(link);
    await page.waitForSelector(".rows .row:not([hidden])");
    holds(!page.url().includes("ticket"), "the ticket has left the address");
  },
  async "keys and Enter lead to a prompt"() {
    await page.keyboard.type(keys);
    await text(".rows .row:not([hidden])", fragment.split("/")[3]);
    await page.keyboard.press("Enter");
    await connected();
    await shows(String.raw`[$#] *$`);
    holds(page.url().endsWith(fragment), "the address is the shell's");
  },
  async "what is typed is echoed"() {
    await page.keyboard.type("echo it is me\n");
    await shows(String.raw`echo it is me\s*it is me`);
  },
  async "a reload in the middle of output loses nothing"() {
    await page.keyboard.type(`${COUNT}\n`);
    await shows("line 2[0-9]{2}");
    holds(!(await screen()).includes(`line ${LINES}`), "the reload comes in the middle");
    await page.reload();
    await connected();
    await shows(`line ${LINES}`);
    const numbers = (await page.evaluate(kept)).match(/(?<=^line )\d+/gm).map(Number);
    holds(numbers.length === LINES && numbers.every((number, at) => number === at + 1), `${LINES} lines in order: ${numbers}`);
  },
  async "what has gone out of sight is found"() {
    await chord("Control", "Shift", "F");
    await page.keyboard.type("line 77");
    await text(".searchbar .count", "11 of 11");
    await page.keyboard.press("Escape");
  },
  async "what is selected is copied and pasted"() {
    await page.keyboard.type("clear; echo chosen\n");
    await shows("^chosen");
    const rows = await (await page.$(".xterm-rows > div")).boundingBox();
    await page.mouse.click(rows.x + 20, rows.y + rows.height / 2, { count: 2 });
    await chord("Control", "Shift", "C");
    await page.keyboard.type("echo again ");
    await chord("Control", "Shift", "V");
    await shows("echo again chosen");
    await page.keyboard.press("Enter");
    await shows(String.raw`again chosen\s*again chosen`);
  },
  async "lines that a program copied are asked about, then pasted"() {
    await page.keyboard.type(`clear; ${COPY}\n`);
    await text(".notice", "put this into the clipboard");
    await chord("Control", "Shift", "V");
    await text("dialog h2", "Paste 2 lines?");
    await page.keyboard.press("Enter");
    await shows(`echo t""wo`);
    await page.keyboard.press("Enter"); // a bash that is told what a paste is has taken both lines as one
    await shows(String.raw`^one\s[^]*^two`);
  },
  async "of two tabs with one shell the later one has it, until it is taken back"() {
    const [first, opening] = [page, new Promise((resolve) => page.once("popup", resolve))];
    await page.evaluate(() => void open(location.href)); // with a copy of the tab's storage, as a duplicate has
    const second = (page = await watched(await opening));
    await connected();
    await page.keyboard.type("echo from the other\n");
    await shows(String.raw`the other\s*from the other`);
    await state("taken over", first);
    page = first;
    await page.bringToFront();
    await press("Take it back");
    await connected();
    await page.keyboard.type("echo back here\n");
    await shows(String.raw`back here\s*back here`);
    await state("taken over", second);
    await second.close();
  },
  async "keys that Firefox has a use for are the page's"() {
    await page.evaluate(() => addEventListener("keydown", ({ code, shiftKey, defaultPrevented }) => shiftKey && !defaultPrevented && document.body.classList.add(`theirs-${code}`)));
    await chord("Control", "Shift", "C"); // its inspector
    await chord("Shift", "Escape"); // its processes
    await page.waitForFunction(() => document.activeElement.closest("header"));
    await chord("Control", "Shift", "K"); // its console
    await page.waitForSelector("dialog.palette");
    const theirs = await page.evaluate(() => document.body.className.match(/theirs-(KeyC|Escape|KeyK)/g));
    holds(!theirs, `Firefox gets none of them: ${theirs}`);
  },
  async "Back leads to the list as it was"() {
    await page.goBack();
    await page.waitForFunction((value) => document.activeElement.value === value, {}, keys);
    await text(".rows .row:not([hidden])", fragment.split("/")[3]);
    holds(!(await page.$("dialog")), "what was open over the shell is gone");
  },
};

const allowed = (url) => url.startsWith(new URL(link).origin) || url.startsWith("data:");

function holds(condition, what) {
  if (!condition) throw new Error(`not so: ${what}`);
}

/** Waits until the first such element has the text in it. */
const text = (selector, part) => page.waitForFunction((selector, part) => document.querySelector(selector)?.textContent.includes(part), {}, selector, part);
const state = (words, where = page) => where.waitForFunction((words) => document.querySelector("#state")?.textContent === words, {}, words);
const connected = () => state("connected");
const screen = () => page.evaluate(() => document.querySelector(".shell:not(.behind) .xterm-rows")?.innerText ?? "");
const shows = (pattern) => page.waitForFunction((pattern) => new RegExp(pattern, "m").test(document.querySelector(".shell:not(.behind) .xterm-rows")?.innerText.replaceAll("\u00a0", " ").trimEnd() ?? ""), {}, pattern);
const press = (name) => page.locator(`::-p-aria([name="${name}"][role="button"])`).click();

/** Returns what the page would keep over a reload, without its colours. */
function kept() {
  dispatchEvent(new PageTransitionEvent("pagehide"));
  const name = Object.keys(sessionStorage).find((each) => each.startsWith("dap-gateway.session"));
  return JSON.parse(sessionStorage.getItem(name)).screen.text.replace(/\x1b\[[\d;?]*[A-Za-z]/g, "").replaceAll("\r", "");
}

async function chord(...held) {
  for (const key of held) await page.keyboard.down(key);
  for (const key of held.reverse()) await page.keyboard.up(key);
}

try {
  for (const [name, step] of Object.entries(steps)) {
    const began = performance.now();
    await step().catch(async (error) => {
      throw new Error(`FAILED: ${name}: ${error.message}\n${page.url()}\n${await page.evaluate(() => document.body.innerText)}`);
    });
    console.log(`${Math.round(performance.now() - began)} ms: ${name}`);
  }
} catch (error) {
  problems.push(error.message);
} finally {
  await browser.close();
}
if (problems.length > 0) {
  console.log(problems.join("\n"));
  process.exit(1);
}
