/* ask.cjs - one question through each JavaScript client; prints what they make of the answers as JSON.
 * usage: node ask.cjs http://HOST:PORT/nominatim */
const base = process.argv[2];

async function leaflet() {
  const { JSDOM } = require("jsdom");
  const { window } = new JSDOM("<!doctype html><body></body>", { url: base, resources: "usable", runScripts: "dangerously" });
  Object.assign(global, { window, document: window.document, XMLHttpRequest: window.XMLHttpRequest });
  Object.defineProperty(global, "navigator", { value: window.navigator, configurable: true });
  const L = require("leaflet");
  window.L = global.L = L;
  require("leaflet-control-geocoder");
  const geocoder = L.Control.Geocoder.nominatim({ serviceUrl: `${base}/` });
  const plain = (results) => results.map((r) => ({ name: r.name, lat: r.center.lat, lng: r.center.lng,
    north: r.bbox.getNorth(), html: r.html }));
  const asked = (ask) => new Promise((resolve) => { ask(resolve); });
  const found = await asked((told) => geocoder.geocode("Vaduz", told));
  const there = await asked((told) => geocoder.reverse(L.latLng(47.14, 9.52), 256 * 2 ** 18, told));
  window.close();
  return { found: plain(found), there: plain(there) };
}

async function nodeGeocoder() {
  const geocoder = require("node-geocoder")({ provider: "openstreetmap", osmServer: base });
  const pick = ({ formattedAddress, latitude, longitude, streetName, streetNumber, countryCode, zipcode }) =>
    ({ formattedAddress, latitude, longitude, streetName, streetNumber, countryCode, zipcode });
  return { found: (await geocoder.geocode("Städtle 32, 9490 Vaduz")).map(pick),
    fields: (await geocoder.geocode({ street: "32 Städtle", city: "Vaduz" })).map(pick),
    there: (await geocoder.reverse({ lat: 47.14, lon: 9.52 })).map(pick) };
}

(async () => {
  console.log(JSON.stringify({ leaflet: await leaflet(), node: await nodeGeocoder() }));
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
