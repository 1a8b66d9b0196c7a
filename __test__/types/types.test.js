'use strict'

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const { promisify } = require('node:util')
const smoke = require('smokesignal')

const root = path.join(__dirname, '..', '..')
const declarations = fs.readFileSync(path.join(root, 'index.d.ts'), 'utf8')

const modules = path.join(root, 'node_modules')
/** Compiles with `tsc`; returns what it complains of, but for what is between other packages. */
async function compile(typescript, argv) {
  const tsc = path.join(modules, typescript, 'bin', 'tsc')
  const { stdout } = await promisify(execFile)(process.execPath, [tsc, ...argv]).catch(
    (failed) => failed,
  )
  const complaints = stdout.split(/\n(?=\S)/)
  return complaints.filter((text) => text !== '' && !/^\S*[/@]types[/-]/.test(text))
}

test('programs type-check as they should, from CommonJS and from modules', async () => {
  assert.deepEqual(await compile('typescript', ['-p', __dirname]), [])
})

/** A folder of the test programs with this package and these types of Node.js. */
function project(t, types, compilerOptions, files) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'smokesignal-types-'))
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }))
  const own = path.join(folder, 'node_modules', 'smokesignal')
  fs.mkdirSync(own, { recursive: true })
  for (const file of ['package.json', 'index.d.ts']) {
    fs.copyFileSync(path.join(root, file), path.join(own, file))
  }
  fs.mkdirSync(path.join(folder, 'node_modules', '@types'))
  const link = path.join(folder, 'node_modules', '@types', 'node')
  fs.symlinkSync(path.join(modules, types), link, 'junction')
  for (const file of files) fs.copyFileSync(path.join(__dirname, file), path.join(folder, file))
  const { compilerOptions: usual } = JSON.parse(
    fs.readFileSync(path.join(__dirname, 'tsconfig.json'), 'utf8'),
  )
  const config = { compilerOptions: { ...usual, ...compilerOptions }, files }
  fs.writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(config))
  return folder
}

const MODULES = ['esm.mts', 'events.mts', 'requests.mts', 'streams.mts', 'strict.mts']
const RESOLUTIONS = {
  node16: [{ module: 'node16' }, [...MODULES, 'commonjs.cts']],
  nodenext: [{ module: 'nodenext' }, [...MODULES, 'commonjs.cts']],
  bundler: [{ module: 'esnext', moduleResolution: 'bundler' }, MODULES],
}
const ALL = Object.keys(RESOLUTIONS)
// The oldest types of Node.js are for the oldest TypeScript only; the newest are not for that.
for (const [typescript, types, resolutions] of [
  ['typescript-5.0', 'types-node-oldest', ALL],
  ['typescript-5.9', '@types/node', ['nodenext']],
  ['typescript-5.9', 'types-node-newest', ['bundler']],
  ['typescript', 'types-node-newest', ALL],
]) {
  for (const resolution of resolutions) {
    test(`programs type-check with ${typescript}, ${types}, resolution ${resolution}`, async (t) => {
      const folder = project(t, types, ...RESOLUTIONS[resolution])
      assert.deepEqual(await compile(typescript, ['-p', folder]), [])
    })
  }
}

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
    Members: node.members,
    Member: node.members.get(node.id),
    Direct: node.direct,
    Target: node.to(node.id),
    Drainable: node.to(node.id),
    Acknowledged: node.to(node.id).timeout(1),
    Targets: node.to([node.id]),
    AcknowledgedByAll: node.broadcast.timeout(1),
    Requester: node.timeout(1),
    Replies: await node.broadcast.timeout(1).emitWithAck('ping'),
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
