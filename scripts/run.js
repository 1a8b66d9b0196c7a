'use strict'
// Running other programs, as every script here does it.

const { spawn } = require('node:child_process')
const path = require('node:path')

const root = path.join(__dirname, '..')

/** npm as an argv prefix: the npm that runs us if there is one, else the one on the PATH. */
function npm() {
  const script = process.env.npm_execpath
  if (script?.endsWith('.js')) return [process.execPath, script]
  return [process.platform === 'win32' ? 'npm.cmd' : 'npm']
}

/**
 * Runs a program with our stdio and resolves to its exit code (127: not found, 1: a signal).
 * An interrupt reaches it through the terminal; we outlive it to report.
 */
function run(argv, options = {}) {
  const [command, ...args] = argv
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: 'inherit',
      shell: command.endsWith('.cmd'),
      ...options,
    })
    child.on('error', (error) => (error.code === 'ENOENT' ? resolve(127) : reject(error)))
    child.on('close', (code) => resolve(code ?? 1))
  })
}

/** Runs a program and resolves to `{code, stdout, stderr}`. */
async function capture(argv, options = {}) {
  const [command, ...args] = argv
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: command.endsWith('.cmd'),
      ...options,
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text
    })
    child.on('error', (error) => resolve({ code: 127, stdout, stderr: error.message }))
    child.on('close', (code) => resolve({ code: code ?? 1, stdout, stderr }))
  })
}

module.exports = { root, npm, run, capture }
