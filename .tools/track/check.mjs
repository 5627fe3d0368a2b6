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

async function look(name, view, scheme, script) {
	const where = `${name} ${view.name} ${scheme} ${script ? "with" : "without"} script`;
	const page = await browser.newPage();
	page.on("console", (m) => fail(where, `the browser says: ${m.text()}`));
	page.on("pageerror", (e) => fail(where, e.message));
	await page.setViewport(view);
	await page.setJavaScriptEnabled(script);
	await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
	asked.length = 0;
	await page.goto(`${origin}/track/${name}`, { waitUntil: "networkidle0" });
	if (asked.length !== 1) fail(where, `it asks for ${asked.join(", ")}`);

	if (script === (scheme === "light")) await page.screenshot({ path: path.join(shots, `${name}.${view.name}.${scheme}.png`), fullPage: true });
	const seen = await page.accessibility.snapshot();
	if (!JSON.stringify(seen).includes('"heading"')) fail(where, "there is no heading for who can't see");

	const qr = await page.$("svg[role=img]");
	if (qr) {
		const want = JSON.parse(fs.readFileSync(path.join(top, "server/track/testdata", name.startsWith("arrived") ? "ready_curbside_arrived.en.json" : name + ".json"))).qr;
		const image = PNG.sync.read(Buffer.from(await qr.screenshot()));
		const got = jsQR(new Uint8ClampedArray(image.data), image.width, image.height)?.data;
		if (got !== want) fail(where, `the QR code is read as ${got}, want ${want}`);
	}

	// From here on script is needed, of the check's own.
	await page.setJavaScriptEnabled(true);
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
	for (const width of [view.width, ...(view.isMobile ? [320] : [])]) {
		await page.setViewport({ ...view, width });
		const [is, fits] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
		if (is > fits || fits > width) fail(where, `at ${width} px it is ${is} px wide`);
	}
	await page.close();
	return result.passes.length;
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

let looks = 0;
let rules = 0;
try {
	for (const file of fs.readdirSync(pages).filter((f) => f.endsWith(".html") && f.includes(only)).sort()) {
		for (const view of views) {
			for (const scheme of ["light", "dark"]) {
				for (const script of [true, false]) {
					rules += await look(file.replace(".html", ""), view, scheme, script);
					looks++;
				}
			}
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
console.log(`${looks} looks, ${rules} rules of axe ${axe.version} passed, ${problems} problems; pictures are in ${path.relative(top, shots)}`);
process.exit(problems === 0 ? 0 : 1);
