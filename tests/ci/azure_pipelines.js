// Ask Microsoft's language service about pipelines: the schema's file, then the files as arguments; faults as JSON.
const fs = require("fs");
console.log = () => {}; // the service talks to itself
const { getLanguageService, parse } = require("azure-pipelines-language-service");
const { TextDocument } = require("vscode-languageserver-textdocument");

const schema = fs.readFileSync(process.argv[2], "utf8");
const service = getLanguageService(
  () => Promise.resolve(JSON.parse(schema)),
  [],
  () => Promise.resolve("file:///schema.json"),
);
service.configure({ validate: true, schemas: [] });

(async () => {
  const found = {};
  for (const file of process.argv.slice(3)) {
    const document = TextDocument.create(`file://${file}`, "yaml", 1, fs.readFileSync(file, "utf8"));
    const faults = await service.doValidation(document, parse(document.getText()));
    found[file] = faults.map((one) => `${one.range.start.line + 1}: ${one.message}`);
  }
  process.stdout.write(JSON.stringify(found));
})();
