// node har.mjs FILE: validates an HTTP Archive and prints the result as JSON.
import { readFileSync } from "node:fs";
import validate from "har-validator/lib/promise.js";

const archive = JSON.parse(readFileSync(process.argv[2], "utf8"));
const result = await validate.har(archive).then(
  () => ({ valid: true, errors: null }),
  (error) => ({ valid: false, errors: error.errors }),
);
console.log(JSON.stringify(result));
