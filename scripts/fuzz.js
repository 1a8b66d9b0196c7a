'use strict'
// Fuzzes what reads bytes from the network, guided by coverage, on stable Rust; needs a C++ compiler.
//
//   npm run fuzz -- --minutes 10 [target …]     all targets unless some are named
//   npm run fuzz -- --coverage                  how much of the decoders the corpora reach
//
// What was found interesting is kept in fuzz/corpus, what failed in fuzz/findings; the seeds are
// recordings of real connections and what failed before, in tests/data. To run one input again, name
// its file:
//
//   npm run fuzz -- lines --input fuzz/findings/lines-crash-…

const fs = require('node:fs')
const path = require('node:path')
const { parseArgs } = require('node:util')
const { capture, root, run } = require('./run')

const fuzz = path.join(root, 'fuzz')
const SEEDS = path.join(root, 'tests', 'data')
/** The longest input of each target, in bytes. */
const TARGETS = {
  lines: 12000,
  frames: 12000,
  json: 4096,
  transport: 2048,
  state: 6000,
  batch: 8192,
}
/** In Node.js, without libFuzzer: a node's whole way in, see the file. */
const CROSSING = path.join('__test__', 'fuzz', 'crossing.test.js')
/** What libFuzzer sees the program's paths with. `-C passes` and `llvm-args` are stable. */
const GUIDED = [
  '-Cpasses=sancov-module',
  '-Cllvm-args=-sanitizer-coverage-level=4',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters',
  '-Cllvm-args=-sanitizer-coverage-pc-table',
  '-Cllvm-args=-sanitizer-coverage-trace-compares',
  '-Ccodegen-units=1',
].join(' ')
/** What decodes. */
const DECODERS = [
  'src/proto/codec',
  'src/proto/json',
  'src/proto/legacy',
  'src/net/secure',
  'src/binding/chunk.rs',
  'src/binding/validation.rs',
]

async function main() {
  const { values, positionals } = parseArgs({
    options: {
      minutes: { type: 'string', default: '1' },
      coverage: { type: 'boolean', default: false },
      input: { type: 'string' },
    },
    allowPositionals: true,
  })
  const names = [...Object.keys(TARGETS), 'crossing']
  const unknown = positionals.find((name) => !names.includes(name))
  if (unknown !== undefined)
    return fail(`no target is called "${unknown}"; there are ${names.join(', ')}`)
  const targets = positionals.length > 0 ? positionals : names
  const guided = targets.filter((name) => name in TARGETS)
  if (values.coverage) return showCoverage(guided)
  const folder = guided.length > 0 && (await build('fuzz', GUIDED))
  if (values.input !== undefined) {
    process.exitCode = await run([path.join(folder, guided[0]), path.resolve(values.input)])
    return
  }
  const seconds = Math.max(1, Math.round(Number(values.minutes) * 60))
  const rows = []
  for (const name of targets) {
    rows.push(await (name in TARGETS ? fuzzOne(folder, name, seconds) : fuzzCrossing(seconds)))
  }
  console.log()
  print(['target', 'seconds', 'executions', 'inputs kept', 'findings'], rows)
  if (rows.some((row) => row.at(-1) > 0)) process.exitCode = 1
}

function fail(message) {
  console.error(message)
  process.exitCode = 2
}

/** Builds the targets with these flags; returns the folder of the programs. */
async function build(kind, flags) {
  const { stdout } = await capture(['rustc', '-vV'])
  const host = /^host: (.+)$/m.exec(stdout)[1]
  const target = path.join(fuzz, 'target', kind)
  // Naming the platform keeps the flags away from build scripts.
  const argv = ['cargo', 'build', '--release', '--target', host, '--target-dir', target]
  const env = { ...process.env, RUSTFLAGS: flags }
  const code = await run([...argv, '--manifest-path', path.join(fuzz, 'Cargo.toml')], { env })
  if (code !== 0) process.exit(code)
  return path.join(target, host, 'release')
}

function corpusOf(name) {
  const folder = path.join(fuzz, 'corpus', name)
  fs.mkdirSync(folder, { recursive: true })
  return folder
}

async function fuzzOne(folder, name, seconds) {
  const findings = path.join(fuzz, 'findings')
  fs.mkdirSync(findings, { recursive: true })
  const failed = () => fs.readdirSync(findings).filter((file) => file.startsWith(`${name}-`)).length
  const before = failed()
  const corpus = corpusOf(name)
  const options = [
    `-max_total_time=${seconds}`,
    `-max_len=${TARGETS[name]}`,
    '-timeout=10',
    '-rss_limit_mb=1024',
    '-print_final_stats=1',
    `-artifact_prefix=${findings}/${name}-`,
  ]
  console.log(`fuzzing ${name} for ${seconds} s`)
  const { code, stderr } = await capture([path.join(folder, name), ...options, corpus, SEEDS])
  if (code !== 0) console.error(stderr.split('\n').slice(-60).join('\n'))
  const executions = Number(/number_of_executed_units:\s*(\d+)/.exec(stderr)?.[1] ?? 0)
  const kept = fs.readdirSync(corpus).length
  return [name, seconds, executions, kept, Math.max(failed() - before, Number(code !== 0))]
}

async function fuzzCrossing(seconds) {
  console.log(`fuzzing crossing for ${seconds} s`)
  const env = { ...process.env, FUZZ_SECONDS: String(seconds) }
  const { code, stdout, stderr } = await capture([process.execPath, '--test', CROSSING], { env })
  if (code !== 0) console.error(stdout, stderr)
  const executions = Number(/(\d+) messages/.exec(stdout)?.[1] ?? 0)
  return ['crossing', seconds, executions, '–', Number(code !== 0)]
}

/** The compiler's own `llvm-cov` and `llvm-profdata`, or a system's of the same LLVM release. */
async function llvmTools() {
  const { stdout: folder } = await capture(['rustc', '--print', 'target-libdir'])
  const { stdout: version } = await capture(['rustc', '-vV'])
  const [, major] = /^LLVM version: (\d+)/m.exec(version)
  const own = path.join(folder.trim(), '..', 'bin')
  const system = process.env.PATH.split(path.delimiter)
  const find = (name) =>
    [path.join(own, name), ...system.map((bin) => path.join(bin, `${name}-${major}`))].find(
      (file) => fs.existsSync(file),
    )
  const tools = { cov: find('llvm-cov'), profdata: find('llvm-profdata') }
  return tools.cov && tools.profdata ? tools : undefined
}

/** Runs every input of the corpora and the seeds once, and prints which lines that reached. */
async function showCoverage(targets) {
  const tools = await llvmTools()
  if (tools === undefined) {
    return fail(
      'this needs llvm-cov and llvm-profdata of the release of LLVM that rustc -vV names: ' +
        'rustup component add llvm-tools, or a package of the system such as llvm-22',
    )
  }
  const folder = await build('coverage', '-Cinstrument-coverage')
  const profiles = []
  for (const name of targets) {
    const profile = path.join(fuzz, 'target', `${name}.profraw`)
    const env = { ...process.env, LLVM_PROFILE_FILE: profile }
    const argv = [path.join(folder, name), '-runs=0', `-max_len=${TARGETS[name]}`]
    const { code, stderr } = await capture([...argv, corpusOf(name), SEEDS], { env })
    if (code !== 0) return fail(stderr)
    profiles.push(profile)
  }
  const merged = path.join(fuzz, 'target', 'all.profdata')
  await run([tools.profdata, 'merge', '-sparse', ...profiles, '-o', merged])
  const [first, ...others] = targets.map((name) => path.join(folder, name))
  const objects = others.flatMap((program) => ['-object', program])
  const report = ['export', '-summary-only', `-instr-profile=${merged}`, first, ...objects]
  const sources = DECODERS.map((file) => path.join(root, file))
  const summary = await capture([tools.cov, ...report, ...sources])
  const rows = JSON.parse(summary.stdout).data[0].files.map(({ filename, summary: { lines } }) => [
    path.relative(root, filename),
    lines.count,
    lines.covered,
    `${lines.percent.toFixed(1)} %`,
  ])
  print(
    ['file', 'lines', 'reached', ''],
    rows.filter(([file]) => !/fuzz|tests|ends/.test(file)),
  )
}

function print(head, rows) {
  const widths = head.map((_, n) => Math.max(...[head, ...rows].map((row) => `${row[n]}`.length)))
  const pad = (cell, n) => (n === 0 ? `${cell}`.padEnd(widths[n]) : `${cell}`.padStart(widths[n]))
  for (const row of [head, ...rows]) console.log(row.map(pad).join('  '))
}

main()
