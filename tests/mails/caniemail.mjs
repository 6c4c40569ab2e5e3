// What mail programs make of our mails, by the tables of caniemail.com (npm caniemail).
// Usage: node caniemail.mjs FOLDER PROGRAM…, where FOLDER/node_modules has it; on stdin a JSON object of HTML by name.
// Prints a JSON array of {mail, program, feature, support, notes}: whatever isn't supported in full.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const [folder, ...clients] = process.argv.slice(2);
const { caniemail } = await import(createRequire(`${folder}/`).resolve('caniemail'));

const found = [];
for (const [mail, html] of Object.entries(JSON.parse(readFileSync(0, 'utf8')))) {
  const { issues } = caniemail({ clients, html });
  for (const [program, list] of [...issues.errors, ...issues.warnings]) {
    for (const { title, support, notes } of list) found.push({ mail, program, feature: title, support, notes });
  }
}
console.log(JSON.stringify(found));
