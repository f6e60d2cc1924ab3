// Ask Kusto's own language service about queries: tables as JSON on standard input, then the files as arguments.
const fs = require("fs");
const path = require("path");

const folder = path.dirname(require.resolve("@kusto/language-service-next/package.json"));
const load = (name) => (0, eval)(fs.readFileSync(path.join(folder, name), "utf8")); // they attach to the global object
load("bridge.min.js");
load("Kusto.Language.Bridge.min.js");
const { Symbols, GlobalState, KustoCode } = global.Kusto.Language;

const column = ([name, type]) =>
  new Symbols.ColumnSymbol(name, Symbols.ScalarTypes.GetSymbol(type), null, null, null, null);
const tables = Object.entries(JSON.parse(fs.readFileSync(0, "utf8"))).map(
  ([name, columns]) => new Symbols.TableSymbol.$ctor4(name, Object.entries(columns).map(column)),
);
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor3("logs", null, tables, false));

const found = {};
for (const file of process.argv.slice(2)) {
  const code = KustoCode.ParseAndAnalyze(fs.readFileSync(file, "utf8"), globals);
  const all = code.GetDiagnostics();
  const faults = Array.from({ length: all.Count }, (_, i) => (all.getItem ? all.getItem(i) : all[i]));
  const result = code.ResultType;
  const columns = result && result.Columns ? Array.from({ length: result.Columns.Count }, (_, i) => result.Columns.getItem(i)) : [];
  found[path.basename(file)] = {
    faults: faults.map((fault) => `${fault.Severity} ${fault.Code} ${fault.Message}`),
    columns: Object.fromEntries(columns.map((one) => [one.Name, one.Type && one.Type.Name])),
  };
}
console.log(JSON.stringify(found));
