'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { explain, loadBinding, platform } = require('../../lib/native')
const { Program } = require('../support/process')

const ROOT = path.join(__dirname, '..', '..')
const CREATE = path.join(__dirname, '..', 'fixtures', 'install', 'create.cjs')
const REINSTALL = 'Remove node_modules and run npm install on this machine'

/** The generated loader's error, if its attempts failed with these messages. */
function failure(...messages) {
  let cause = null
  for (const message of messages) cause = Object.assign(new Error(message), { cause })
  return Object.assign(new Error('Cannot find native binding. npm has a bug'), { cause })
}

const NOT_FOUND = "Cannot find module 'smokesignal-x'\nRequire stack:\n- lib/binding.js"

const CASES = [
  [
    'addons are disabled',
    'Cannot load native addon because loading addons is disabled.',
    ['ERR_DLOPEN_DISABLED', 'addons are disabled', 'Start Node.js without --no-addons'],
  ],
  [
    'its files may not be read',
    'Access to this API has been restricted. Use --allow-fs-read to manage permissions.',
    [
      'ERR_ACCESS_DENIED',
      'the permission model keeps its files from being read',
      `Start Node.js with --allow-fs-read=${ROOT}`,
    ],
  ],
  [
    'the glibc is too old',
    "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required by x.node)",
    [
      'ERR_DLOPEN_FAILED',
      'the C library of this system is too old for it',
      'Build it: npm run build',
    ],
  ],
  ...[
    'libc.musl-x86_64.so.1: cannot open shared object file: No such file or directory',
    'Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by x)',
    'Error relocating x.node: __register_atfork: symbol not found',
  ].map((message) => [
    `it is for another libc: ${message.slice(0, 40)}`,
    message,
    ['ERR_DLOPEN_FAILED', 'it is the one for systems with another C library', REINSTALL],
  ]),
  ...[
    'x.node: invalid ELF header',
    'x.node: wrong ELF class: ELFCLASS32',
    "dlopen(x.node, 0x0001): tried: 'x.node' (slice is not valid mach-o file)",
    "tried: 'x' (mach-o file, but is an incompatible architecture (have 'x86_64', need 'arm64'))",
    '\\\\?\\C:\\x.node is not a valid Win32 application.',
  ].map((message) => [
    `it is for another platform: ${message.slice(0, 40)}`,
    message,
    ['ERR_DLOPEN_FAILED', 'it is the one for another platform', REINSTALL],
  ]),
  ['it is broken', 'file too short', [undefined, 'file too short', REINSTALL]],
]

for (const [what, message, [code, why, remedy]] of CASES) {
  test(`an addon that cannot be loaded is explained: ${what}`, () => {
    const error = explain(failure(message, NOT_FOUND))
    assert.deepEqual(
      [error.name, error.code, error.cause.message, error.cause.code],
      ['SmokeError', 'ERR_SMOKE_NO_BINARY', message, code],
    )
    const where = `(${platform()}, Node.js ${process.version})`
    assert.equal(
      error.message,
      `smokesignal cannot load its native addon ${where}: ${why}. ${remedy}`,
    )
  })
}

/** This package's JavaScript in its own folder, as npm installs it, with packages beside it. */
function installed(t, { packages = [], files = {} } = {}) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'smokesignal-native-'))
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }))
  const modules = path.join(folder, 'node_modules')
  fs.mkdirSync(path.join(modules, 'smokesignal', 'lib'), { recursive: true })
  for (const file of ['index.js', 'package.json', ...lib()]) {
    fs.copyFileSync(path.join(ROOT, file), path.join(modules, 'smokesignal', file))
  }
  for (const name of packages) fs.mkdirSync(path.join(modules, `smokesignal-${name}`))
  for (const [file, content] of Object.entries(files)) {
    fs.writeFileSync(path.join(modules, 'smokesignal', 'lib', file), content)
  }
  return folder
}

function lib() {
  const files = fs.readdirSync(path.join(ROOT, 'lib')).filter((file) => file.endsWith('.js'))
  return files.map((file) => path.join('lib', file))
}

/** The error of a program in `folder` that creates a node; the default is this package. */
async function messageIn(t, folder = path.dirname(CREATE), execArgv = []) {
  const copy = path.join(folder, 'create.cjs')
  if (copy !== CREATE) fs.copyFileSync(CREATE, copy)
  // The addon of that folder, regardless of the one under test.
  const env = { NAPI_RS_NATIVE_LIBRARY_PATH: undefined }
  const program = new Program([copy], { cwd: folder, execArgv, env })
  t.after(() => program.kill())
  await program.exited(10_000)
  const { code, message, cause } = JSON.parse(program.out)
  return { code, cause, message: message?.replace(/^.*?\): /, '') }
}

const CODE = 'ERR_SMOKE_NO_BINARY'

test('a missing package is explained', async (t) => {
  assert.deepEqual(await messageIn(t, installed(t)), {
    code: CODE,
    cause: undefined,
    message: 'its package is not installed. Run npm install --include=optional',
  })
})

test('a lockfile or a folder from another platform is recognised', async (t) => {
  const folder = installed(t, { packages: ['win32-x64-msvc', 'darwin-arm64'] })
  const { message } = await messageIn(t, folder)
  assert.equal(
    message,
    'node_modules has the one for darwin-arm64 and win32-x64-msvc. Remove node_modules and ' +
      'package-lock.json and run npm install on this machine',
  )
})

test("another platform's binary under this one's name is recognised", {
  skip: process.platform !== 'linux',
}, async (t) => {
  const files = { [`smokesignal.${platform()}.node`]: 'MZ this is no ELF file'.repeat(100) }
  assert.deepEqual(await messageIn(t, installed(t, { files })), {
    code: CODE,
    cause: 'ERR_DLOPEN_FAILED',
    message: `it is the one for another platform. ${REINSTALL}`,
  })
})

test('Node.js without addons is recognised', async (t) => {
  assert.deepEqual(await messageIn(t, undefined, ['--no-addons']), {
    code: CODE,
    cause: 'ERR_DLOPEN_DISABLED',
    message: 'addons are disabled. Start Node.js without --no-addons',
  })
})

const [major] = process.versions.node.split('.').map(Number)
const PERMISSION = major >= 23 ? '--permission' : '--experimental-permission'

test('the permission model is recognised', async (t) => {
  assert.deepEqual(await messageIn(t, undefined, [PERMISSION, '--allow-fs-read=*']), {
    code: CODE,
    cause: 'ERR_DLOPEN_DISABLED',
    message: 'the permission model disables addons. Start Node.js with --allow-addons',
  })
})

test('a checkout without a build is explained', () => {
  assert.match(
    explain(failure(NOT_FOUND), []).message,
    /it has not been built\. Build it, with Rust: npm run build$/,
  )
})

test('the addon is loaded once', () => {
  const binding = {}
  let loads = 0
  const load = () => {
    loads++
    return binding
  }
  assert.equal(loadBinding(load), binding)
  assert.equal(loadBinding(load), binding)
  assert.equal(loads, 1)
})
