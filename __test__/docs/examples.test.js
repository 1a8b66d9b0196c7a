'use strict'

// Each program of example/, as a person runs it.

const assert = require('node:assert/strict')
const { randomBytes } = require('node:crypto')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')
const esbuild = require('esbuild')
const { freePort } = require('../support/ports')
const { Program, killAll } = require('../support/process')
const { ROOT } = require('./pages')

const EXAMPLES = path.join(ROOT, 'example')

/** Runs examples that meet at one port; those that are left are killed after the test. */
async function stage(t, env = {}) {
  const port = await freePort()
  const programs = []
  t.after(() => killAll(programs))
  return {
    port,
    run(name, ...args) {
      const file = path.join(EXAMPLES, name)
      const program = new Program([file, ...args], { env: { PORT: String(port), ...env } })
      programs.push(program)
      return program
    },
  }
}

function scratch(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'smokesignal-example-'))
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }))
  return folder
}

const prints = (program, text) =>
  program.until(() => program.out.includes(text), 10_000, `"${text}" is printed`)

test('there is a test for each example', () => {
  const programs = fs.readdirSync(EXAMPLES).filter((name) => /\.m?[jt]s$/.test(name))
  const source = fs.readFileSync(__filename, 'utf8')
  const missing = programs.filter((name) => name !== 'local.js' && !source.includes(`'${name}'`))
  assert.deepEqual(missing, [])
  const index = fs.readFileSync(path.join(EXAMPLES, 'README.md'), 'utf8')
  assert.deepEqual(
    programs.filter((name) => name !== 'local.js' && !index.includes(`(${name})`)),
    [],
  )
})

test('hello: two processes greet each other', async (t) => {
  const { run } = await stage(t)
  const programs = [run('hello.js'), run('hello.js')]
  const [a, b] = programs
  await Promise.all([
    prints(a, `process ${b.pid} says hello`),
    prints(b, `process ${a.pid} says hello`),
  ])
  for (const program of programs) {
    program.signal('SIGINT')
    await program.exited()
    assert.equal(program.err, '')
  }
})

test('pubsub: a subscriber hears its topics and no others', async (t) => {
  const { run } = await stage(t)
  const subscriber = run('pubsub.js', 'sub', 'weather', 'sport')
  const sport = run('pubsub.js', 'pub', 'sport')
  sport.child.stdin.end('2:1\n')
  await sport.exited(10_000)
  const music = run('pubsub.js', 'pub', 'music')
  music.child.stdin.end('la\n')
  await music.exited(10_000)
  const weather = run('pubsub.js', 'pub', 'weather')
  weather.child.stdin.end('sunny\nwindy\n')
  await prints(subscriber, 'weather: windy')
  assert.equal(subscriber.out, 'sport: 2:1\nweather: sunny\nweather: windy\n')
})

test('direct: neighbours introduce themselves, and notice that one has gone', async (t) => {
  const { run } = await stage(t)
  const anna = run('direct.js', 'anna')
  const ben = run('direct.js', 'ben')
  await Promise.all([prints(anna, 'ben is next to me'), prints(ben, 'anna is next to me')])
  await ben.kill()
  await prints(anna, 'a neighbour has gone')
})

test('rpc: each asks the other, and gets answers and errors', async (t) => {
  const { run } = await stage(t)
  const [anna, ben] = [run('rpc.js', 'anna'), run('rpc.js', 'ben')]
  for (const [program, other] of [
    [anna, 'ben'],
    [ben, 'anna'],
  ]) {
    await prints(program, 'ERR_SMOKE_TIMEOUT')
    for (const line of [
      'the square of 12 is 144',
      'ERR_SMOKE_REMOTE E_NUMBER not a number',
      `here are ${other}`,
    ]) {
      assert.ok(program.out.split('\n').includes(line), `${line}: ${program.dump()}`)
    }
  }
})

test('members: who comes, changes and goes is told', async (t) => {
  const { run } = await stage(t)
  const anna = run('members.js', 'anna')
  const ben = run('members.js', 'ben')
  await Promise.all([prints(anna, 'join: ben, port'), prints(ben, 'join: anna, port')])
  ben.type('benjamin\n')
  await prints(anna, 'update: benjamin, port')
  ben.signal('SIGINT')
  await prints(anna, 'leave: benjamin, port')
  assert.match(anna.out, /1 are here/)
})

test('streams: a file arrives as it was, and both programs end', async (t) => {
  const { run } = await stage(t)
  const folder = scratch(t)
  const [original, copy] = ['original.bin', 'copy.bin'].map((name) => path.join(folder, name))
  fs.writeFileSync(original, randomBytes(3_000_000))
  const receiver = run('streams.js', 'receive', copy)
  const sender = run('streams.js', 'send', original)
  await Promise.all([receiver.exited(20_000), sender.exited(20_000)])
  assert.equal(receiver.out, '3000000 bytes saved\n')
  assert.ok(fs.readFileSync(copy).equals(fs.readFileSync(original)), 'the copy is the original')
  assert.deepEqual([receiver.exit.code, sender.exit.code], [0, 0], receiver.dump() + sender.dump())
})

test('closed-network: members greet each other, a node with another secret is refused', async (t) => {
  const { run, port } = await stage(t)
  const join = (secret) => {
    const env = { PORT: String(port), SMOKE_SECRET: secret.toString('hex') }
    return new Program([path.join(EXAMPLES, 'closed-network.js')], { env })
  }
  const secret = randomBytes(32)
  const members = [join(secret), join(secret)]
  t.after(() => killAll(members))
  await Promise.all(members.map((member) => prints(member, 'says hello')))
  const stranger = join(randomBytes(32))
  t.after(() => killAll([stranger]))
  await prints(stranger, 'not in yet: secret')
  await members[0].until(
    () => members.some((member) => member.out.includes('refused a connection: secret')),
    10_000,
    'a member refused the stranger',
  )
  assert.doesNotMatch(stranger.out, /hello/)
  const without = run('closed-network.js')
  await without.exited()
  assert.equal(without.exit.code, 2)
  assert.match(without.err, /openssl rand -hex 32/)
})

test('cluster: what one worker was told, the others hear', async (t) => {
  const { run, port } = await stage(t)
  const cluster = run('cluster.js')
  const count = (pattern) => cluster.out.match(pattern)?.length ?? 0
  await cluster.until(() => count(/is ready/g) === 3, 20_000, 'three workers are ready')
  const answer = await fetch(`http://127.0.0.1:${port}/set?colour=red`)
  assert.deepEqual(await answer.json(), { colour: 'red' })
  await cluster.until(() => count(/heard: colour is red/g) === 2, 10_000, 'two others heard it')
})

test('typed: compiles, and an order is shipped', async (t) => {
  // Within the package, which the program names.
  const outfile = path.join(ROOT, 'example', `.typed-${process.pid}.mjs`)
  t.after(() => fs.rmSync(outfile, { force: true }))
  await esbuild.build({ entryPoints: [path.join(EXAMPLES, 'typed.mts')], outfile, format: 'esm' })
  const program = new Program([outfile])
  t.after(() => killAll([program]))
  await program.exited(10_000)
  assert.equal(program.out, 'order 1: tea, milk\nshipped: 1\n')
  assert.deepEqual(program.exit, { code: 0, signal: null }, program.err)
})

test('ChatApp: two people talk', async (t) => {
  const { run, port } = await stage(t)
  const place = ['--seed', `127.0.0.1:${port}`]
  const anna = run('ChatApp/peer.js', '--nick', 'anna', ...place)
  const ben = run('ChatApp/peer.js', '--nick', 'ben', ...place)
  await Promise.all([prints(anna, 'Connected'), prints(ben, 'Connected')])
  anna.type('hello\n')
  await prints(ben, 'anna: hello')
  for (const person of [anna, ben]) {
    person.type('/quit\n')
    await person.exited()
    assert.equal(person.exit.code, 0)
  }
})
