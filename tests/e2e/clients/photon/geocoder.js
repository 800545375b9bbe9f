// photon-geocoder, which knows one host alone: its requests are led to ours. Prints what it found.
const axios = require("axios");
const { search, reverseGeocode, asSimpleArray } = require("photon-geocoder");

axios.interceptors.request.use((config) => {
  const asked = new URL(config.url, config.baseURL || "https://photon.komoot.io");
  return { ...config, baseURL: undefined, url: process.argv[2] + asked.pathname + asked.search };
});

(async () => {
  const found = asSimpleArray(await search("Vaduz", { limit: 2, language: "de" }));
  const here = asSimpleArray(await reverseGeocode(47.1395, 9.5221));
  console.log(JSON.stringify({ found: found.map((f) => f.properties), here: here.map((f) => f.properties) }));
})();
