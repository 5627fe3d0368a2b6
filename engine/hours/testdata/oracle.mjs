// Writes osm_oracle.ndjson.gz: what the npm package opening_hours answers. Only needed to change the fixture; the tests read
// what is there. In a directory of its own:
//
//	npm install opening_hours@3.15.0
//	node oracle.mjs …/osm_oracle.ndjson.gz              asks again all that is asked in the file, and tells what differs
//	node oracle.mjs …/osm_oracle.ndjson.gz more.tsv     adds week patterns: lines of time zone, country (or nothing), hours
//
// opening_hours reads the machine's time zone, so each pattern is asked with TZ set to its own.
import fs from 'node:fs';
import zlib from 'node:zlib';
import OpeningHours from 'opening_hours';

const [file, more] = process.argv.slice(2);
const [first, ...lines] = zlib.gunzipSync(fs.readFileSync(file)).toString().trim().split('\n');
const known = lines.map(line => JSON.parse(line));
const minute = 60_000;

function ask(c, times) {
  process.env.TZ = c.zone;
  const place = c.country ? {lat: 0, lon: 0, address: {country_code: c.country.toLowerCase(), state: ''}} : null;
  const hours = new OpeningHours(c.osm, place);
  let before = 0;
  return times.flatMap(at => {
    const next = hours.getNextChange(new Date(at * minute));
    const probe = [at - before, hours.getState(new Date(at * minute)) ? 1 : 0, next ? Math.round(next / minute) - at : 0];
    before = at;
    return probe;
  });
}

function timesOf(probes) {
  let at = 0;
  return probes.filter((_, i) => i % 3 === 0).map(step => at += step);
}

// draw picks instants of 2026 to 2028: around the changes that the oracle itself tells, from the days before clocks change and
// before days of winter and summer, and anywhere.
function draw(c) {
  process.env.TZ = c.zone;
  const place = c.country ? {lat: 0, lon: 0, address: {country_code: c.country.toLowerCase(), state: ''}} : null;
  const hours = new OpeningHours(c.osm, place);
  const begin = Date.UTC(2026, 0, 1), end = Date.UTC(2028, 11, 1);
  const starts = ['2026-12-23', '2027-01-12', '2027-05-13', '2027-07-12'].map(d => Date.parse(d));
  for (let t = begin; t < end; t += 24 * 60 * minute) {
    if (new Date(t).getTimezoneOffset() !== new Date(t + 24 * 60 * minute).getTimezoneOffset()) starts.push(t - 24 * 60 * minute);
  }
  const times = new Set();
  for (const start of starts) {
    let at = new Date(start);
    for (let n = 0; n < 6 && at; n++) {
      at = hours.getNextChange(at);
      if (at) [-1, 0, 1].forEach(d => times.add(Math.round(at / minute) + d));
    }
  }
  for (let n = 0; n < 20; n++) times.add(Math.floor((begin + Math.random() * (end - begin)) / minute));
  return [...times].sort((a, b) => a - b);
}

let differ = 0;
for (const c of known) {
  const answers = ask(c, timesOf(c.probes));
  if (answers.join() !== c.probes.join() && differ++ < 10) console.log(`other answers about ${c.osm} in ${c.zone}`);
}
console.log(`${known.length} patterns, ${differ} with other answers`);
if (more) {
  for (const line of fs.readFileSync(more, 'utf8').trim().split('\n')) {
    const [zone, country, osm] = line.split('\t');
    const c = {zone, ...(country && {country}), osm};
    known.push({...c, probes: ask(c, draw(c))});
  }
  const text = [first, ...known.map(c => JSON.stringify(c))].join('\n') + '\n';
  fs.writeFileSync(file, zlib.gzipSync(text, {level: 9}));
  console.log(`${known.length} patterns written`);
}
