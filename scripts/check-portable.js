'use strict'
// Builds the addon as macOS and Windows have it, in which the network's thread reads all sockets (the
// feature `portable-wait`), and runs the tests that depend on that with it.

const fs = require('node:fs')
const path = require('node:path')
const { root, run } = require('./run')

const SUITES = ['unit', 'api', 'interop']
const TARGET = path.join(root, 'target', 'portable')
/** Nearly as fast as a release, much sooner built. */
const PROFILE = 'sim'
const ADDON = path.join(TARGET, 'smokesignal.node')

async function main() {
  const features = ['--features', 'portable-wait', '--target-dir', TARGET]
  const built = await run([
    'cargo',
    'build',
    '--lib',
    '--locked',
    '--profile',
    PROFILE,
    ...features,
  ])
  if (built !== 0) return built
  const name = { win32: 'smokesignal.dll', darwin: 'libsmokesignal.dylib' }[process.platform]
  fs.copyFileSync(path.join(TARGET, PROFILE, name ?? 'libsmokesignal.so'), ADDON)
  // The generated loader takes it from there.
  const env = { ...process.env, NAPI_RS_NATIVE_LIBRARY_PATH: ADDON }
  return run([process.execPath, path.join(__dirname, 'test.js'), ...SUITES], { env })
}

main().then((code) => {
  process.exitCode = code
})
