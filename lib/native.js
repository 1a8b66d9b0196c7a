'use strict'

const { SmokeError } = require('./errors')

let binding = null

/** The native addon; loaded when it is first needed. */
function loadBinding(load = () => require('./binding.js')) {
  if (binding !== null) return binding
  try {
    binding = load()
  } catch (cause) {
    const message =
      `smokesignal has no native addon for ${platform()} (Node.js ${process.version}). ` +
      'If this platform is in the list of the README, install again with optional dependencies ' +
      '(npm install --include=optional) and without a node_modules copied from another machine; ' +
      'in a checkout, or for any other platform, build it with Rust: npm run build'
    throw new SmokeError('ERR_SMOKE_NO_BINARY', message, { cause })
  }
  return binding
}

function platform() {
  const { platform: system, arch } = process
  return system === 'linux' ? `${system}-${arch}-${libc()}` : `${system}-${arch}`
}

function libc() {
  return process.report?.getReport().header.glibcVersionRuntime ? 'gnu' : 'musl'
}

module.exports = { loadBinding, platform }
