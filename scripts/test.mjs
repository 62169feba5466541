// Runs every test. On Debian as root it first installs the packages that the tests on real parts need;
// elsewhere those tests are skipped and say which command brings what is missing.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { installTestPackages } from './install-test-packages.mjs';

const root = path.join(import.meta.dirname, '..');

function run(command, args, options = {}) {
  const { status, signal } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  return signal === null ? status : 1;
}

function must(command, ...args) {
  const status = run(command, args);
  if (status !== 0) {
    console.error(`failed: ${command} ${args.join(' ')}`);
    process.exit(status ?? 1);
  }
}

/** Adds up the JSON reports that vitest leaves in each package. */
function addUp() {
  const sum = { passed: 0, failed: 0, skipped: 0, reasons: new Map() };
  for (const folder of [...packages('packages'), ...packages('examples'), 'e2e']) {
    const report = path.join(root, folder, '.test-results/results.json');
    if (!existsSync(report)) continue;
    const results = JSON.parse(readFileSync(report, 'utf8'));
    sum.passed += results.numPassedTests;
    sum.failed += results.numFailedTests;
    sum.skipped += results.numPendingTests + results.numTodoTests;
    for (const { status, fullName } of results.testResults.flatMap(
      (file) => file.assertionResults,
    )) {
      if (status !== 'pending' && status !== 'skipped' && status !== 'todo') continue;
      const reason = /\(([^()]*(?:\([^()]*\)[^()]*)*)\)[^()]*$/.exec(fullName)?.[1] ?? fullName;
      sum.reasons.set(reason, (sum.reasons.get(reason) ?? 0) + 1);
    }
    // A file that cannot even be loaded has no test to count.
    sum.failed += results.testResults.filter(
      (file) => file.status === 'failed' && file.assertionResults.length === 0,
    ).length;
  }
  return sum;
}

function packages(folder) {
  return readdirSync(path.join(root, folder)).map((name) => path.join(folder, name));
}

if (!existsSync(path.join(root, 'node_modules/.bin/nx')))
  must('npm', 'ci', '--no-audit', '--no-fund');
installTestPackages();
for (const folder of [...packages('packages'), ...packages('examples'), 'e2e']) {
  rmSync(path.join(root, folder, '.test-results'), { recursive: true, force: true });
}
must('npx', 'nx', 'run-many', '-t', 'build');
const status = run('npx', [
  ...['nx', 'run-many', '-t', 'test'],
  // What was built is not built again; tests run though nothing has changed.
  ...['--exclude-task-dependencies', '--skip-nx-cache'],
  ...['--parallel=2', '--output-style=stream', '--nx-bail=false'],
]);
const { passed, failed, skipped, reasons } = addUp();
// A skipped test says why in its name, in brackets at the end.
for (const [reason, count] of reasons) console.log(`skipped ${count}: ${reason}`);
console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = status === 0 && failed === 0 && passed > 0 ? 0 : 1;
