'use strict'

// What README.md and docs/ show is run, type-checked or at least parsed, as each language allows.

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const yaml = require('js-yaml')
const { freePort } = require('../support/ports')
const { Program, killAll } = require('../support/process')
const { optionsFromEnv } = require('../..')
const { ROOT, blocksOf, pages } = require('./pages')

const MODULES = path.join(ROOT, 'node_modules')
const PAGES = pages()
const ALL = PAGES.flatMap(({ blocks }) => blocks)
const place = ({ page, line }) => `${page}:${line}`

/** What a fragment of a program may use without saying where it comes from. */
const PRELUDE = `
import * as smoke from 'smokesignal'
declare global {
  const createNode: typeof smoke.createNode
  const localIp: typeof smoke.localIp
  const node: smoke.Node
  const peer: smoke.Peer
  const address: string
  const port: number
  const seeds: (string | smoke.Address)[]
  const rows: unknown[]
  const secret: Uint8Array
  const save: (chunk: unknown) => Promise<void>
  const once: typeof import('node:events').once
}
`

/** A folder in which `require('smokesignal')` finds this package. */
function project(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'smokesignal-docs-'))
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }))
  fs.mkdirSync(path.join(folder, 'node_modules', '@types'), { recursive: true })
  for (const [name, target] of [
    ['smokesignal', ROOT],
    ['@types/node', path.join(MODULES, '@types', 'node')],
  ]) {
    fs.symlinkSync(target, path.join(folder, 'node_modules', name), 'junction')
  }
  return folder
}

test('every code block says its language, and there is a check for it', () => {
  const known = ['js', 'ts', 'console', 'sh', 'json', 'yaml', 'dockerfile', 'nginx', 'text']
  const unknown = ALL.filter(({ language }) => !known.includes(language)).map(place)
  assert.deepEqual(unknown, [])
  assert.ok(ALL.filter(({ language }) => language === 'js').length >= 10, 'blocks are found')
})

test('every block of JavaScript and TypeScript, and the typed example, type-check', async (t) => {
  const folder = project(t)
  const names = new Map()
  for (const [index, block] of ALL.entries()) {
    if (block.language !== 'js' && block.language !== 'ts') continue
    const isWhole = block.language === 'js' && /require\('smokesignal'\)/.test(block.text)
    const extension = block.language === 'ts' ? 'mts' : isWhole ? 'cjs' : 'mjs'
    const name = `block-${index}.${extension}`
    const text = isWhole ? block.text : `${asModule(block.text)}\nexport {}\n`
    fs.writeFileSync(path.join(folder, name), text)
    names.set(name, place(block))
  }
  fs.copyFileSync(path.join(ROOT, 'example', 'typed.mts'), path.join(folder, 'typed.mts'))
  names.set('typed.mts', 'example/typed.mts')
  fs.writeFileSync(path.join(folder, 'prelude.d.mts'), PRELUDE)
  const compilerOptions = {
    ...{ strict: false, noEmit: true },
    ...{ allowJs: true, checkJs: true, module: 'nodenext', target: 'es2024', types: ['node'] },
    ...{ lib: ['es2024', 'esnext.disposable'], skipLibCheck: true },
  }
  const config = { compilerOptions, files: ['prelude.d.mts', ...names.keys()] }
  fs.writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(config))
  const tsc = path.join(MODULES, 'typescript', 'bin', 'tsc')
  let complaints = ''
  try {
    execFileSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8', cwd: folder })
  } catch (error) {
    complaints = error.stdout.replace(/block-\d+\.\w+/g, (name) => names.get(name) ?? name)
  }
  assert.equal(complaints, '')
})

/** A fragment may use top-level `await`: that needs a module, and a module has no `require`. */
function asModule(text) {
  return text.replace(/^const (\{.*\}|\w+) = require\((.*)\)$/gm, 'import $1 from $2')
}

// A block `$ node one.js` with lines below it: these come, in this order, on the program's output.
for (const { page, blocks } of PAGES) {
  const shown = blocks.filter(({ language }) => language === 'console')
  if (shown.length === 0) continue
  test(`the programs of ${page} print what the page shows`, { timeout: 60_000 }, async (t) => {
    const folder = project(t)
    const ports = [await freePort(), await freePort()]
    for (const { name, text } of blocks.filter(({ name }) => name !== undefined)) {
      const own = text.replaceAll('8495', String(ports[0])).replaceAll('8500', String(ports[1]))
      fs.writeFileSync(path.join(folder, name), own)
    }
    const programs = []
    t.after(() => killAll(programs))
    const waits = []
    // The programs of a page run together, as in terminals of their own.
    for (const block of shown) {
      const [command, ...lines] = block.text.trimEnd().split('\n')
      const [, name] = /^\$ node (\S+)$/.exec(command) ?? assert.fail(`${place(block)}: ${command}`)
      const program = new Program([name], { cwd: folder })
      programs.push(program)
      waits.push([program, lines, block])
    }
    for (const [program, lines, block] of waits) {
      const printed = () => inOrder(program.out, lines)
      await program.until(() => printed() || program.exit, 30_000, `${place(block)} is printed`)
      assert.ok(printed(), `${place(block)}: ${program.dump()}`)
      assert.equal(program.err, '', place(block))
    }
  })
}

/** Whether these lines are among those of `text`, in this order. */
function inOrder(text, lines) {
  const printed = text.split('\n')
  let at = 0
  for (const line of lines) {
    at = printed.indexOf(line, at) + 1
    if (at === 0) return false
  }
  return true
}

test('shell blocks parse, and JSON blocks are JSON', (t) => {
  for (const block of ALL) {
    if (block.language === 'json') JSON.parse(block.text)
    if (block.language !== 'sh') continue
    if (process.platform === 'win32') return t.skip('needs a POSIX shell')
    execFileSync('sh', ['-n'], { input: block.text })
  }
})

test('YAML blocks are YAML, and their Services and Deployments find their pods', () => {
  const documents = ALL.filter(({ language }) => language === 'yaml').map(({ text }) => {
    return yaml.loadAll(text)
  })
  assert.ok(documents.length > 0, 'blocks are found')
  for (const { kind, spec } of documents.flat()) {
    if (kind !== 'Deployment') continue
    const { labels } = spec.template.metadata
    assert.deepEqual(spec.selector.matchLabels, labels)
    const services = documents.flat().filter((other) => other.kind === 'Service')
    for (const service of services) assert.deepEqual(service.spec.selector, labels)
  }
})

test('environment variables in shell and YAML blocks are options', () => {
  const variable = /(SMOKE_[A-Z_]+)(?:=|: |\n *value: )['"]?([^\s'"]+)/g
  const seen = ALL.filter(({ language }) => language === 'sh' || language === 'yaml').map(
    ({ text }) => Object.fromEntries([...text.matchAll(variable)].map(([, ...pair]) => pair)),
  )
  for (const env of seen) optionsFromEnv(env)
  assert.ok(
    seen.some((env) => env.SMOKE_SEEDS && env.SMOKE_PORT),
    'variables are found',
  )
})

test('links between the pages lead somewhere', () => {
  const broken = []
  for (const { page, markdown } of PAGES) {
    const prose = markdown.replace(/^```[\s\S]*?^```$/gm, '')
    for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      const [file, anchor] = target.split('#')
      const found = file === '' ? path.join(ROOT, page) : path.join(ROOT, path.dirname(page), file)
      const isThere = fs.existsSync(found)
      if (!isThere || (anchor && !anchors(found).includes(anchor)))
        broken.push(`${page}: ${target}`)
    }
  }
  assert.deepEqual(broken, [])
})

/** The anchors of a page's headings, as GitHub makes them. */
function anchors(file) {
  const headings = fs.readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)
  return [...headings].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

test('prose wraps at 100 characters', () => {
  const wide = PAGES.flatMap(({ page, markdown }) =>
    markdown
      .replace(/^```[\s\S]*?^```$/gm, (block) => block.replace(/[^\n]/g, ''))
      .split('\n')
      .flatMap((text, index) => {
        const isProse = !text.startsWith('|')
        return isProse && text.length > 100 ? [`${page}:${index + 1}`] : []
      }),
  )
  assert.deepEqual(wide, [])
})

test('blocks are found with their names and places', () => {
  const markdown = 'a\n\n```js\n// one.js\nx\n```\n\n```\ny\n```\n'
  assert.deepEqual(blocksOf('p.md', markdown), [
    { page: 'p.md', line: 3, language: 'js', text: '// one.js\nx\n', name: 'one.js' },
    { page: 'p.md', line: 8, language: '', text: 'y\n', name: undefined },
  ])
})
