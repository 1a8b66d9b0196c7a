'use strict'

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { promisify } = require('node:util')
const smoke = require('smokesignal')

const root = path.join(__dirname, '..', '..')
const declarations = fs.readFileSync(path.join(root, 'index.d.ts'), 'utf8')

test('programs type-check as they should, from CommonJS and from modules', async () => {
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const { stdout } = await promisify(execFile)(process.execPath, [tsc, '-p', __dirname]).catch(
    (failed) => failed,
  )
  assert.equal(stdout, '')
})

test('index.js exports what index.d.ts declares', async () => {
  const declared = [...declarations.matchAll(/^ {2}(?:function|const|class) (\w+)/gm)]
  const names = [...new Set(declared.map(([, name]) => name))].sort()
  assert.deepEqual(Object.keys(smoke).sort(), names)
  const { default: whole, 'module.exports': _, ...named } = await import('smokesignal')
  assert.equal(whole, smoke)
  assert.deepEqual({ ...named }, { ...smoke })
})

test('every declared member of every object exists', { timeout: 20_000 }, async (t) => {
  const options = { address: '127.0.0.1', port: 0 }
  const [node, other] = [smoke.createNode(options), smoke.createNode(options)]
  t.after(() => Promise.all([node.stop(), other.stop()]))
  await Promise.all([node.start(), other.start()])
  const added = once(other.peers, 'add')
  const peer = await node.addPeer('127.0.0.1', other.options.port)
  await added
  const stats = node.stats()
  const objects = {
    Node: node,
    Peerlist: node.peers,
    Broadcast: node.broadcast,
    Peer: peer,
    PeerSocket: peer.socket,
    Stats: stats,
  }
  const missing = Object.entries(objects).flatMap(([type, object]) =>
    membersOf(type)
      .filter((member) => !(member in object))
      .map((member) => `${type}.${member}`),
  )
  assert.deepEqual(missing, [])
})

test('the declarations and the README list every error code', () => {
  const { codes } = require('../../lib/errors')
  const readme = fs.readFileSync(path.join(root, 'README.md'), 'utf8')
  const known = Object.keys(codes).sort()
  const listed = (text, pattern) => [...text.matchAll(pattern)].map(([, code]) => code).sort()
  assert.deepEqual(listed(declarations, /^ {4}[|] '(ERR_\w+)'/gm), known)
  assert.deepEqual(listed(readme, /^[|] `(ERR_\w+)`/gm), known)
})

test('the declarations and the README list every option', () => {
  const readme = fs.readFileSync(path.join(root, 'README.md'), 'utf8')
  const { options } = smoke.createNode({ address: '127.0.0.1' })
  // What is secret is not in `node.options`.
  const known = [...Object.keys(options), 'secret', 'identity'].sort()
  const table = readme.slice(readme.indexOf('### Options'), readme.indexOf('### Errors'))
  const listed = [...table.matchAll(/^[|] `(\w+)`/gm)].map(([, option]) => option)
  assert.deepEqual(listed.sort(), known)
  assert.deepEqual(membersOf('Options').sort(), known)
})

/** The names that an interface declares itself or has from Channel. */
function membersOf(type) {
  const lines = declarations.split('\n')
  const start = lines.findIndex((line) => new RegExp(`^  interface ${type}\\b`).test(line))
  assert.notEqual(start, -1, `index.d.ts declares ${type}`)
  const end = lines[start].endsWith('{}') ? start : lines.indexOf('  }', start)
  const own = lines
    .slice(start + 1, end)
    .map((line) => /^ {4}(?:readonly )?(\w+)[?]?[(:<]/.exec(line)?.[1])
    .filter((name) => name !== undefined)
  return lines[start].includes('extends Channel') ? [...membersOf('Channel'), ...own] : own
}
