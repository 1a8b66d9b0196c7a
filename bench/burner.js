'use strict'

// `node burner.js <share>`: uses that share of a core and does nothing with it.

const SHARE = Number(process.argv[2])
const began = process.hrtime.bigint()
const clock = new Int32Array(new SharedArrayBuffer(4))

for (;;) {
  const elapsed = Number(process.hrtime.bigint() - began) / 1000
  const { user, system } = process.cpuUsage()
  if (user + system >= SHARE * elapsed) Atomics.wait(clock, 0, 0, 1)
  else for (const end = performance.now() + 0.5; performance.now() < end; );
}
