// Looks at every tracking page in a real browser: phone and desktop, light and dark, with script and without. It fails on
// anything that axe finds, on what doesn't fit the width, on small targets, on a request to anywhere, on a word of the
// browser's against the security policy, on a QR code that can't be read, and on a form that doesn't work. Run it by
// `make check-track`; pictures are left in .tools/track/shots.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import jsQR from "jsqr";
import { PNG } from "pngjs";
import puppeteer from "puppeteer-core";

const here = path.dirname(fileURLToPath(import.meta.url));
const top = path.join(here, "../..");
const shots = path.join(here, "shots");
const only = process.argv[2] ?? ""; // part of the names of pages to look at
const browserPath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const token = "9fJ2kQ7xT1uV5wYzA3bC6d"; // of the samples
const views = [
	{ name: "phone", width: 360, height: 740, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
	{ name: "desktop", width: 1280, height: 800, deviceScaleFactor: 1 },
];
const targetMin = 44; // CSS pixels: WCAG 2.2 asks for 24, and 44 at level AAA

const pages = fs.mkdtempSync(path.join(os.tmpdir(), "track-"));
const made = spawnSync("go", ["test", "./server/track", "-count=1", "-run=AsInTestdata", `-pages=${pages}`], { cwd: top, encoding: "utf8" });
if (made.status !== 0) {
	console.error(made.stdout + made.stderr);
	process.exit(1);
}
const headers = Object.fromEntries(JSON.parse(fs.readFileSync(path.join(pages, "headers.json"))).map((h) => [h.Name, h.Value]));
fs.rmSync(shots, { recursive: true, force: true });
fs.mkdirSync(shots);

let problems = 0;
let looks = 0;
let rules = 0;
let codes = 0;
const fail = (where, what) => {
	problems++;
	console.error(`${where}: ${what}`);
};

// The server knows the pages under the name of their file and under the token, and tells of whatever else is asked for.
const asked = [];
const posted = [];
const server = http.createServer((request, response) => {
	asked.push(`${request.method} ${request.url}`);
	const send = (file) => {
		response.writeHead(200, headers);
		response.end(fs.readFileSync(path.join(pages, file)));
	};
	const name = request.url.replace("/track/", "");
	if (request.method === "POST") {
		let body = "";
		request.on("data", (part) => (body += part));
		request.on("end", () => {
			posted.push({ url: request.url, type: request.headers["content-type"], body });
			send("arrived.en.html");
		});
	} else if (name === token) {
		send("ready_curbside_arrived.en.html");
	} else if (fs.existsSync(path.join(pages, name + ".html"))) {
		send(name + ".html");
	} else {
		response.writeHead(404).end();
	}
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${server.address().port}`;

const browser = await puppeteer.launch({ executablePath: browserPath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });

// look loads a page without script, sees to it in both schemes, and once more with script, where it must be the same.
async function look(name, view) {
	const page = await browser.newPage();
	let where = `${name} ${view.name} without script`;
	page.on("console", (m) => fail(where, `the browser says: ${m.text()}`));
	page.on("pageerror", (e) => fail(where, e.message));
	await page.setViewport(view);
	await page.setJavaScriptEnabled(false);
	await load(page, name, where);
	const seen = await page.accessibility.snapshot();
	if (!JSON.stringify(seen).includes('"heading"')) fail(where, "there is no heading for who can't see");
	const laidOut = await page.evaluate(layout);
	for (const scheme of ["light", "dark"]) {
		where = `${name} ${view.name} ${scheme} without script`;
		await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
		await page.screenshot({ path: path.join(shots, `${name}.${view.name}.${scheme}.png`), fullPage: true });
		await readQR(page, name, where);
		// From here on script is needed, of the check's own.
		await page.setJavaScriptEnabled(true);
		await inspect(page, where);
		await page.setJavaScriptEnabled(false);
	}
	await fits(page, view, where);

	where = `${name} ${view.name} with script`;
	await page.setJavaScriptEnabled(true);
	await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
	await page.setViewport(view);
	await load(page, name, where);
	if ((await page.evaluate(layout)) !== laidOut) fail(where, "it is not the same as without");
	await inspect(page, where);
	await page.close();
}

async function load(page, name, where) {
	asked.length = 0;
	await page.goto(`${origin}/track/${name}`, { waitUntil: "load" });
	if (asked.length !== 1) fail(where, `it asks for ${asked.join(", ")}`);
}

// layout is each element of a page with its place.
function layout() {
	return JSON.stringify([...document.querySelectorAll("body, body *")].map((e) => [e.tagName, e.getBoundingClientRect()]));
}

async function readQR(page, name, where) {
	const qr = await page.$("svg[role=img]");
	if (!qr) return;
	const order = name.replace(/^arrived\./, "ready_curbside_arrived.");
	const want = JSON.parse(fs.readFileSync(path.join(top, "server/track/testdata", order + ".json"))).qr;
	const image = PNG.sync.read(Buffer.from(await qr.screenshot()));
	const got = jsQR(new Uint8ClampedArray(image.data), image.width, image.height)?.data;
	if (got !== want) fail(where, `the QR code is read as ${got}, want ${want}`);
	codes++;
}

async function inspect(page, where) {
	const small = await page.evaluate((min) => {
		const list = [];
		for (const e of document.querySelectorAll("a, button, input")) {
			const box = e.getBoundingClientRect();
			if (box.height < min || box.width < min) list.push(`${e.outerHTML} ${box.width}×${box.height}`);
		}
		return list;
	}, targetMin);
	for (const s of small) fail(where, `small target ${s}`);
	await page.evaluate(axe.source);
	const result = await page.evaluate(() => axe.run(document, { resultTypes: ["violations", "incomplete"] }));
	for (const v of [...result.violations, ...result.incomplete]) {
		for (const n of v.nodes) fail(where, `${v.id}: ${v.help}\n    ${n.html}\n    ${n.failureSummary?.replaceAll("\n", "\n    ")}`);
	}
	rules += result.passes.length;
	looks++;
}

// fits tells what is wider than the window. 320 px is also what 1280 px are at a zoom of 400 %.
async function fits(page, view, where) {
	for (const width of [view.width, ...(view.isMobile ? [320] : [800])]) {
		await page.setViewport({ ...view, width });
		const [is, room] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
		if (is > room || room > width) fail(where, `at ${width} px it is ${is} px wide`);
	}
}

// The whole way of somebody who arrives: fill in, send, read, go back; without script.
async function arrive() {
	const page = await browser.newPage();
	await page.setJavaScriptEnabled(false);
	await page.goto(`${origin}/track/ready_curbside.en`);
	await page.type("#bay", "4");
	await page.type("#vehicle", "blue Clio & trailer");
	await Promise.all([page.waitForNavigation(), page.click("button")]);
	const [post] = posted;
	if (post?.url !== `/track/${token}/arrived` || post.body !== "bay=4&vehicle=blue+Clio+%26+trailer") fail("form", JSON.stringify(posted));
	await Promise.all([page.waitForNavigation(), page.click(`a[href="../${token}"]`)]);
	if (page.url() !== `${origin}/track/${token}`) fail("form", `the way back leads to ${page.url()}`);
	await Promise.all([page.waitForNavigation(), page.click("footer a")]);
	if (page.url() !== `${origin}/track/${token}`) fail("refresh", `it leads to ${page.url()}`);
	await page.close();
}

// What is printed: one page, with the code.
async function print() {
	const page = await browser.newPage();
	await page.goto(`${origin}/track/ready.en`);
	await page.pdf({ path: path.join(shots, "ready.en.pdf"), format: "A4" });
	await page.emulateMediaType("print");
	await page.setViewport({ width: 720, height: 1000 });
	await page.screenshot({ path: path.join(shots, "ready.en.print.png"), fullPage: true });
	await page.close();
}

try {
	for (const file of fs.readdirSync(pages).filter((f) => f.endsWith(".html") && f.includes(only)).sort()) {
		for (const view of views) {
			await look(file.replace(".html", ""), view);
		}
	}
	await arrive();
	await print();
} finally {
	await browser.close();
	server.close();
	fs.rmSync(pages, { recursive: true, force: true });
}
if (looks === 0) fail(only, "there are no such pages");
console.log(`${looks} looks, ${rules} rules of axe ${axe.version} passed, ${codes} QR codes read, ${problems} problems; pictures are in ${path.relative(top, shots)}`);
process.exit(problems === 0 ? 0 : 1);
