'use strict'
// Runs the tests: the Rust ones, then each folder of __test__. Sets up first.
//
//   npm test                       everything
//   npm test -- rust unit api      only these
//   node scripts/test.js --node /path/to/node unit api    with another Node.js

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')
const { root } = require('./run')
const { setupOrExit } = require('./setup')
const { runSteps } = require('./steps')

// Cheap ones first. `concurrency` is how many test files run at a time: the later suites start
// processes of their own and measure time, so they have the machine to themselves.
const SUITES = [
  { name: 'types', concurrency: 2 },
  { name: 'unit', concurrency: 2 },
  { name: 'api', concurrency: 2 },
  { name: 'docs', concurrency: 2 },
  { name: 'ecosystem', concurrency: 1 },
  { name: 'security', concurrency: 1 },
  { name: 'interop', concurrency: 2 },
  { name: 'exactly-once', concurrency: 1 },
  { name: 'pressure', concurrency: 1 },
  { name: 'faults', concurrency: 1 },
  { name: 'hosts', concurrency: 1 },
  { name: 'attackers', concurrency: 1 },
  { name: 'soak', concurrency: 1 },
  { name: 'install', concurrency: 1 },
]

async function main() {
  const { values, positionals } = parseArgs({
    options: { node: { type: 'string', default: process.execPath } },
    allowPositionals: true,
  })
  const names = ['rust', ...SUITES.map(({ name }) => name)]
  const unknown = positionals.find((name) => !names.includes(name))
  if (unknown !== undefined) {
    console.error(`no tests are called "${unknown}"; there are ${names.join(', ')}`)
    process.exit(2)
  }
  const wanted = (name) => positionals.length === 0 || positionals.includes(name)

  await setupOrExit()
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'smokesignal-test-'))
  const steps = []
  if (wanted('rust')) {
    // The same cases are tried every time here; seeds of your own find others.
    const env = { PROPTEST_RNG_SEED: '1', FUZZ_FROM: '1', ...process.env }
    steps.push({ name: 'rust', argv: ['cargo', 'test', '--features', 'fuzzing'], options: { env } })
  }
  for (const suite of SUITES) {
    if (wanted(suite.name)) steps.push(suiteStep(suite, values.node, scratch))
  }
  process.exitCode = await runSteps('test', steps.filter(Boolean))
  fs.rmSync(scratch, { recursive: true, force: true })
}

function suiteStep({ name, concurrency }, node, scratch) {
  const files = testFiles(path.join(root, '__test__', name))
  if (files.length === 0) return { name, skip: 'no test files' }
  const counts = path.join(scratch, `${name}.txt`)
  const argv = [
    node,
    '--test',
    `--test-concurrency=${concurrency}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${path.join(__dirname, 'count-reporter.js')}`,
    `--test-reporter-destination=${counts}`,
    ...files,
  ]
  return { name, argv, details: () => readIfThere(counts) }
}

function testFiles(folder) {
  if (!fs.existsSync(folder)) return []
  return fs
    .readdirSync(folder, { recursive: true })
    .filter((file) => /\.test\.m?js$/.test(file))
    .sort()
    .map((file) => path.relative(root, path.join(folder, file)))
}

function readIfThere(file) {
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : ''
}

main()
