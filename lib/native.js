'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { SmokeError } = require('./errors')

/** The platforms with published binaries, as in package.json. */
const PLATFORMS = [
  ...['linux-x64-gnu', 'linux-arm64-gnu', 'linux-x64-musl', 'linux-arm64-musl'],
  ...['darwin-x64', 'darwin-arm64', 'win32-x64-msvc'],
]

const REINSTALL = 'Remove node_modules and run npm install on this machine'
const FOLDER = path.join(__dirname, '..')

/**
 * Known causes of a failed load: the message of Node.js or of the system's loader, its code (which
 * the generated loader drops), an explanation, and a remedy.
 */
const REASONS = [
  {
    words: /loading addons is disabled/,
    code: 'ERR_DLOPEN_DISABLED',
    reason: () =>
      process.permission === undefined
        ? ['addons are disabled', 'Start Node.js without --no-addons']
        : ['the permission model disables addons', 'Start Node.js with --allow-addons'],
  },
  {
    words: /Access to this API has been restricted/,
    code: 'ERR_ACCESS_DENIED',
    reason: () => [
      'the permission model keeps its files from being read',
      `Start Node.js with --allow-fs-read=${FOLDER}`,
    ],
  },
  {
    words: /version .*GLIBC\S* not found/,
    code: 'ERR_DLOPEN_FAILED',
    reason: () => ['the C library of this system is too old for it', 'Build it: npm run build'],
  },
  {
    words:
      /(?:libc\.musl|ld-linux|ld-musl|libc\.so\.6).*(?:cannot open|No such file)|Error relocating/,
    code: 'ERR_DLOPEN_FAILED',
    reason: () => ['it is the one for systems with another C library', REINSTALL],
  },
  {
    words:
      /invalid ELF header|wrong ELF class|Exec format|mach-o|incompatible arch|not a valid Win32/,
    code: 'ERR_DLOPEN_FAILED',
    reason: () => ['it is the one for another platform', REINSTALL],
  },
]

let binding = null

/** The native addon, loaded on first use. */
function loadBinding(load = () => require('./binding.js')) {
  if (binding !== null) return binding
  try {
    binding = load()
  } catch (error) {
    throw explain(error)
  }
  return binding
}

/** Explains why the addon cannot be loaded, with a remedy. */
function explain(error, installed = installedPlatforms()) {
  const causes = causesOf(error)
  for (const { words, code, reason } of REASONS) {
    const cause = causes.find(({ message }) => words.test(message))
    if (cause === undefined) continue
    cause.code ??= code
    return noBinary(cause, ...reason())
  }
  // Any other error is more specific than "file not found".
  const cause = causes.findLast(({ message }) => !NOT_THERE.test(message))
  if (cause !== undefined) return noBinary(cause, cause.message.split('\n')[0], REINSTALL)
  return noBinary(error, ...whyMissing(installed))
}

/** Messages for missing files; the second is the generated loader's. */
const NOT_THERE = /^Cannot find module|^Cannot find native binding/

function noBinary(cause, why, remedy) {
  const where = `${platform()}, Node.js ${process.version}`
  const message = `smokesignal cannot load its native addon (${where}): ${why}. ${remedy}`
  return new SmokeError('ERR_SMOKE_NO_BINARY', message, { cause })
}

/** Explains why the addon is missing. */
function whyMissing(installed) {
  const here = platform()
  if (fs.existsSync(path.join(FOLDER, 'Cargo.toml'))) {
    return ['it has not been built', 'Build it, with Rust: npm run build']
  }
  if (!PLATFORMS.includes(here)) {
    return ['there is none for this platform', 'Build one, with Rust, from the repository']
  }
  if (installed.length > 0) {
    const remedy = 'Remove node_modules and package-lock.json and run npm install on this machine'
    return [`node_modules has the one for ${installed.join(' and ')}`, remedy]
  }
  return ['its package is not installed', 'Run npm install --include=optional']
}

/** The platforms whose packages are installed next to this one. */
function installedPlatforms() {
  return PLATFORMS.filter((name) => fs.existsSync(path.join(FOLDER, '..', `smokesignal-${name}`)))
}

/** An error and its causes. */
function causesOf(error) {
  const causes = []
  for (let at = error; at instanceof Error && !causes.includes(at); at = at.cause) causes.push(at)
  return causes
}

/** The name of this platform, as in package names. */
function platform() {
  const { platform: system, arch } = process
  if (system === 'win32') return `${system}-${arch}-msvc`
  return system === 'linux' ? `${system}-${arch}-${libc()}` : `${system}-${arch}`
}

function libc() {
  return process.report?.getReport().header.glibcVersionRuntime ? 'gnu' : 'musl'
}

module.exports = { explain, loadBinding, platform }
