'use strict'

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { pathToFileURL } = require('node:url')
const { promisify } = require('node:util')
const { after, before, describe, test } = require('node:test')
const { npm, root } = require('../../scripts/run')
const { pack } = require('../../scripts/pack')
const { pages } = require('../docs/pages')
const { freePort } = require('../support/ports')
const { Program, killAll } = require('../support/process')

const execute = promisify(execFile)
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'smokesignal-install-'))
after(() => fs.rmSync(scratch, { recursive: true, force: true }))

const FIXTURES = path.join(__dirname, '..', 'fixtures', 'install')
const PROGRAMS = ['require.cjs', 'default.mjs', 'named.mjs']

describe('the packed packages', () => {
  const project = path.join(scratch, 'packed')
  let tarballs

  before(async () => {
    tarballs = await pack({ out: path.join(scratch, 'tarballs'), addons: path.join(root, 'lib') })
    assert.equal(tarballs.platforms.length, 1, 'the addon of this platform is built')
    await install(project, '--offline', tarballs.main, ...tarballs.platforms)
  })

  for (const program of PROGRAMS) {
    test(`run a chat from an empty project: ${program}`, { timeout: 30_000 }, () =>
      talks(project, program),
    )
  }

  test('run the first screen of the README, from an empty folder to two programs that talk', {
    timeout: 120_000,
  }, async (t) => {
    const began = Date.now()
    const folder = path.join(scratch, 'newcomer')
    await install(folder, '--offline', tarballs.main, ...tarballs.platforms)
    const [{ blocks }] = pages()
    const port = String(await freePort())
    for (const { name, text } of blocks.filter((block) => block.name !== undefined)) {
      fs.writeFileSync(path.join(folder, name), text.replaceAll('8495', port))
    }
    const [one, two] = ['one.js', 'two.js'].map((name) => new Program([name], { cwd: folder }))
    t.after(() => killAll([one, two]))
    await one.until(() => one.out === 'two: hello\n', 20_000, 'the first hears the second')
    await two.until(() => two.out === 'one: welcome\n', 20_000, 'the second hears the first')
    t.diagnostic(`${((Date.now() - began) / 1000).toFixed(1)} s`)
  })

  test('have no install script and hold nothing but the program', async () => {
    const installed = path.join(project, 'node_modules', 'smokesignal')
    const manifest = JSON.parse(fs.readFileSync(path.join(installed, 'package.json'), 'utf8'))
    assert.equal(manifest.scripts, undefined)
    assert.equal(manifest.dependencies, undefined)
    const entries = fs.readdirSync(installed, { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile()).map((entry) => entry.name)
    assert.deepEqual(files.sort(), [
      ...['LICENSE', 'README.md', 'binding.js', 'index.d.ts', 'index.js', 'package.json'],
      'smokesignal.js',
    ])
  })

  test('call classes and functions by the names that they have in the sources', async () => {
    const program = `
      const smokesignal = require('smokesignal')
      console.log(JSON.stringify(Object.entries(smokesignal).map(([key, { name }]) => [key, name])))`
    const { stdout } = await execute(process.execPath, ['-e', program], { cwd: project })
    const sources = Object.keys(require('../..'))
    assert.deepEqual(
      JSON.parse(stdout),
      sources.map((name) => [name, name]),
    )
  })

  test('type-check under strict, with the declarations checked too', async () => {
    for (const name of ['@types/node', 'undici-types']) {
      const from = path.join(root, 'node_modules', name)
      fs.cpSync(from, path.join(project, 'node_modules', name), { recursive: true })
    }
    const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const options = ['--strict', '--skipLibCheck', 'false', '--noEmit', '--module', 'nodenext']
    const argv = [tsc, ...options, '--types', 'node', 'typed.mts']
    const { stdout } = await execute(process.execPath, argv, { cwd: project }).catch((e) => e)
    assert.equal(stdout, '')
  })

  test('name the missing binary', async () => {
    const bare = path.join(scratch, 'bare')
    await install(bare, '--offline', '--omit=optional', tarballs.main)
    const { stdout } = await execute(process.execPath, ['create.cjs'], { cwd: bare })
    const { code, message } = JSON.parse(stdout)
    assert.equal(code, 'ERR_SMOKE_NO_BINARY')
    const platform = `${process.platform}-${process.arch}`
    assert.match(message, new RegExp(`cannot load its native addon .${platform}`))
    assert.match(message, /npm install --include=optional/)
  })
})

test('an install from a git URL builds the addon and runs a chat', {
  timeout: 600_000,
}, async () => {
  const project = path.join(scratch, 'git')
  await install(project, `git+${pathToFileURL(root)}`)
  for (const program of PROGRAMS) await talks(project, program)
})

async function install(project, ...args) {
  fs.mkdirSync(project)
  fs.writeFileSync(path.join(project, 'package.json'), '{"private":true}\n')
  fs.cpSync(FIXTURES, project, { recursive: true })
  const [command, ...prefix] = npm()
  const argv = [...prefix, 'install', '--no-audit', '--no-fund', '--loglevel=error', ...args]
  await execute(command, argv, { cwd: project, env: cleanEnvironment(), maxBuffer: 64 << 20 })
}

async function talks(project, program) {
  const { stdout } = await execute(process.execPath, [program], { cwd: project })
  assert.equal(stdout, 'ben hello\n')
}

/** Ours without what npm tells the scripts of this package, and with our cargo output shared. */
function cleanEnvironment() {
  const ours =
    /^(npm_(package|lifecycle)_|npm_config_local_prefix$|NODE_TEST_CONTEXT$|NODE_OPTIONS$)/
  const entries = Object.entries(process.env).filter(([name]) => !ours.test(name))
  return {
    ...Object.fromEntries(entries),
    CARGO_TARGET_DIR: process.env.CARGO_TARGET_DIR ?? path.join(root, 'target'),
    // The checkout may belong to another user than the one who runs the tests.
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'safe.directory',
    GIT_CONFIG_VALUE_0: '*',
  }
}
