'use strict'
// Makes a checkout ready to run: development dependencies installed, addon built. Does only what
// is missing or out of date, so every command can begin with it. Needs nothing but Node and npm.
//
//   node scripts/setup.js                 both
//   node scripts/setup.js --addon-only    the addon; what `prepare` runs (npm is installing already)

const { createHash } = require('node:crypto')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { setTimeout: delay } = require('node:timers/promises')
const { capture, npm, root, run } = require('./run')

const ADDON_STAMP = path.join(root, 'lib', '.built')
// For the release builds, which name a target.
const BUILD_ARGS = process.env.SMOKESIGNAL_BUILD_ARGS?.split(' ').filter(Boolean) ?? []
const ADDON_SOURCES = ['Cargo.toml', 'Cargo.lock', 'build.rs', 'src']

async function setup({ addonOnly = false } = {}) {
  const unlock = await lock()
  try {
    if (!addonOnly && !dependenciesAreFresh()) {
      say('installing the development dependencies (npm ci)')
      await mustRun('ci', '--ignore-scripts', '--no-audit', '--no-fund')
    }
    if (!addonIsFresh()) await buildAddon()
  } finally {
    unlock()
  }
}

/** Compares the lock file with npm's own record of what it has installed. */
function dependenciesAreFresh() {
  const wanted = packagesIn('package-lock.json')
  const installed = packagesIn('node_modules/.package-lock.json')
  if (installed === undefined) return false
  return Object.entries(wanted).every(([where, { version, optional }]) => {
    if (where === '') return true
    const found = installed[where]
    return found === undefined ? optional === true : found.version === version
  })
}

function packagesIn(lockfile) {
  try {
    return JSON.parse(fs.readFileSync(path.join(root, lockfile), 'utf8')).packages
  } catch {
    return undefined
  }
}

function addonIsFresh() {
  try {
    const built = fs.readFileSync(ADDON_STAMP, 'utf8')
    return built === fingerprint() && fs.readdirSync(path.dirname(ADDON_STAMP)).some(isAddon)
  } catch {
    return false
  }
}

function isAddon(name) {
  return name.endsWith('.node')
}

async function buildAddon() {
  const cargo = await capture(['cargo', '--version'])
  if (cargo.code !== 0) {
    throw new SetupError(
      'cargo was not found, and the addon is built from source here.\n' +
        'Install Rust (https://rustup.rs) and run this again. ' +
        '`npm install smokesignal` brings a ready binary and needs no Rust.',
    )
  }
  const before = fingerprint()
  say('building the addon (cargo, release mode: a minute or two the first time)')
  await mustRun('run', '--silent', 'build', '--', ...BUILD_ARGS)
  fs.writeFileSync(ADDON_STAMP, before)
  say('the addon is ready')
}

/** Changes when anything changes that the addon is made of. */
function fingerprint() {
  const hash = createHash('sha256')
  hash.update(`${process.platform} ${process.arch}\0`)
  hash.update(JSON.stringify([require('../package.json').scripts.build, ...BUILD_ARGS]))
  for (const source of ADDON_SOURCES) {
    for (const file of filesUnder(path.join(root, source))) {
      hash.update(`\0${path.relative(root, file)}\0`).update(fs.readFileSync(file))
    }
  }
  return hash.digest('hex')
}

function filesUnder(file) {
  if (!fs.statSync(file).isDirectory()) return [file]
  return fs
    .readdirSync(file)
    .sort()
    .flatMap((name) => filesUnder(path.join(file, name)))
}

/**
 * Two terminals may start at the same moment; one sets up and the other waits for it. The lock
 * stands outside the checkout because `npm ci` empties node_modules.
 */
async function lock() {
  const name = createHash('sha256').update(root).digest('hex').slice(0, 16)
  const file = path.join(os.tmpdir(), `smokesignal-setup-${name}.lock`)
  for (let told = false; ; ) {
    try {
      fs.writeFileSync(file, String(process.pid), { flag: 'wx' })
      return () => fs.rmSync(file, { force: true })
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const holder = Number(readIfThere(file))
    // Within a setup, npm runs `prepare` as its descendant; the holder is waiting for it.
    if (Number(process.env.SMOKESIGNAL_SETUP) === holder) return () => {}
    if (holder > 0 && !isAlive(holder)) fs.rmSync(file, { force: true })
    else {
      if (!told) say(`another terminal is setting up (process ${holder}); waiting for it`)
      told = true
      await delay(250)
    }
  }
}

function readIfThere(file) {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

async function mustRun(...args) {
  const env = { ...process.env, SMOKESIGNAL_SETUP: String(process.pid) }
  const code = await run([...npm(), ...args], { env, stdio: ['ignore', 2, 2] })
  if (code !== 0) throw new SetupError(`npm ${args.join(' ')} failed (exit code ${code})`)
}

function say(text) {
  process.stderr.write(`smokesignal: ${text}\n`)
}

class SetupError extends Error {}

/** Sets up, or says in plain words why not and ends the process. */
async function setupOrExit(options) {
  try {
    await setup(options)
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    say(error.message)
    process.exit(1)
  }
}

module.exports = { setupOrExit }

if (require.main === module) setupOrExit({ addonOnly: process.argv.includes('--addon-only') })
