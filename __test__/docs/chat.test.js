'use strict'

// The chat of `npm start`, in processes of its own, as a person uses it.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const net = require('node:net')
const path = require('node:path')
const { test } = require('node:test')
const { freePort } = require('../support/ports')
const { Program, killAll } = require('../support/process')

const SCRIPTS = path.join(__dirname, '..', '..', 'scripts')

/** People who chat at one seed; those who are left are killed after the test. */
function room(t, port) {
  const people = []
  t.after(() => killAll(people))
  return {
    enter(nick, ...args) {
      const place = ['--seed', `127.0.0.1:${port}`, '--nick', nick]
      const chat = new Program([path.join(SCRIPTS, 'chat.js'), ...args, ...place])
      people.push(chat)
      return chat
    },
  }
}

const sees = (chat, text) => chat.until(() => chat.out.includes(text), 10_000, `"${text}" is shown`)
const lines = (chat) => chat.out.split('\n').filter(Boolean)

/** A program that is no smokesignal node and listens; `answer` is called with each connection. */
async function foreigner(t, answer) {
  const sockets = new Set()
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    answer(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return server.address().port
}

test('each wrong argument ends in a sentence, not in a stack', async (t) => {
  const taken = await foreigner(t, () => {})
  const cases = [
    [['--nick'], 2, /^--nick needs a value\.\n/],
    [['--wat'], 2, /^There is no option --wat\.\n/],
    [['--subnet', 'nonsense'], 2, /--subnet takes a network such as .*, not "nonsense"/],
    [['--subnet', '203.0.113.0/24'], 2, /no address in 203\.0\.113\.0\/24. It has 127\.0\.0\.1/],
    [['--seed', 'nobody'], 2, /--seed takes an address and a port/],
    [['--seed', 'nobody:0'], 2, /A port is a number from 1 to 65535, not "0"/],
    [['99999'], 2, /A port is a number from 0 to 65535, not "99999"/],
    [['1', '2'], 2, /One port is enough/],
    [[String(taken)], 1, /Port \d+ is in use/],
  ]
  for (const [args, code, message] of cases) {
    const chat = new Program([path.join(SCRIPTS, 'chat.js'), ...args])
    await chat.exited(10_000)
    assert.equal(chat.exit.code, code, args.join(' '))
    assert.match(chat.err, message)
    assert.doesNotMatch(chat.err, /^\s+at /m)
    assert.equal(chat.err.split('\n').length, 3, chat.err)
  }
})

test('--help lists the options, before anything is built', async () => {
  const help = new Program([path.join(SCRIPTS, 'start.js'), '--help'])
  await help.exited(10_000)
  assert.deepEqual(help.exit, { code: 0, signal: null })
  for (const option of ['--nick', '--seed', '--subnet', '--demo']) {
    assert.ok(help.out.includes(option), option)
  }
})

test('another program at the seed is reported, whether it talks or is silent', async (t) => {
  const web = await foreigner(t, (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  const silent = await foreigner(t, () => {})
  const atWeb = room(t, web).enter('anna')
  const atSilent = room(t, silent).enter('ben')
  await sees(atWeb, `Another program listens at 127.0.0.1:${web}`)
  await atSilent.until(() => atSilent.out.includes('does not answer'), 15_000)
  for (const chat of [atWeb, atSilent]) assert.match(chat.out, /npm start -- 9000/)
})

test('the newcomer joins, and those who were there are there', async (t) => {
  const port = await freePort()
  const { enter } = room(t, port)
  const anna = enter('anna', String(port))
  await sees(anna, 'Waiting for others...')
  const ben = enter('ben')
  await Promise.all([sees(anna, '* ben has joined'), sees(ben, '* anna is here')])
  const cleo = enter('cleo')
  const all = [anna, ben, cleo]
  await Promise.all([anna, ben].map((chat) => sees(chat, '* cleo has joined')))
  await sees(cleo, '* anna is here')
  for (const chat of all) assert.doesNotMatch(chat.out, /\* anna has joined/)
  assert.doesNotMatch(cleo.out, /\* ben has joined/)
  assert.match(lines(ben)[0], /^You are ben, at 127\.0\.0\.1:\d+\.$/)
  assert.equal(lines(anna).filter((line) => line === '* ben has joined').length, 1)
})

test('a person who leaves is not told that everyone has gone; the others are', async (t) => {
  const port = await freePort()
  const { enter } = room(t, port)
  const anna = enter('anna', String(port))
  await sees(anna, 'Waiting for others...')
  const ben = enter('ben')
  await sees(anna, '* ben has joined')
  await sees(ben, '* anna is here')
  ben.type('bye\n/quit\n')
  await ben.exited()
  await sees(anna, 'Everyone has gone')
  assert.deepEqual(ben.exit, { code: 0, signal: null })
  assert.doesNotMatch(ben.out, /Everyone has gone/)
  assert.deepEqual(lines(anna).slice(-3), [
    'ben: bye',
    '* ben has left',
    'Everyone has gone. Waiting for others...',
  ])
})

test('lines typed while alone say so, commands help, and two slashes are text', async (t) => {
  const port = await freePort()
  const { enter } = room(t, port)
  const anna = enter('anna', String(port))
  await sees(anna, 'Waiting for others...')
  anna.type('hello\n/help\n/halp me\n')
  await sees(anna, 'Nobody is here yet, so nobody heard that.')
  await sees(anna, '/quit   leave')
  await sees(anna, 'There is no command /halp. /help lists them.')
  const ben = enter('ben')
  await sees(anna, '* ben has joined')
  anna.type('//root\n')
  await sees(ben, 'anna: /root')
  assert.doesNotMatch(ben.out, /anna: hello|halp/)
})
