'use strict'

const { SmokeError, argumentError } = require('./errors')
const { loadBinding } = require('./native')

/** Reads a hexadecimal mask, such as 0xffffff00 or 0xff.0xff.0xff.0, into dotted decimal form. */
function readMask(subnet) {
  return subnet.replace(/\/(0x[\da-f]{1,8}|[\dxa-f]+(?:\.[\dxa-f]+){3})$/i, (whole, mask) => {
    const parts = mask.includes('.') ? mask.split('.').map(Number) : bytesOf(Number(mask))
    return parts.every((part) => part <= 255) ? `/${parts.join('.')}` : whole
  })
}

function bytesOf(mask) {
  return [24, 16, 8, 0].map((bits) => (mask >>> bits) & 255)
}

/** The address of this machine in `subnet`, such as `192.168.2.0/24`. */
function localIp(subnet) {
  const found = typeof subnet === 'string' ? loadBinding().localIp(readMask(subnet)) : null
  if (found === null) {
    const message = `not a subnet such as '192.168.2.0/24' or '192.168.2.1/255.255.255.0': ${String(subnet)}`
    throw argumentError(TypeError, 'ERR_SMOKE_SUBNET', message)
  }
  if (typeof found === 'string') return found
  const message = `Couldn't determine IP address: none in ${subnet} among ${found.join(', ')}`
  throw new SmokeError('ERR_SMOKE_NO_ADDRESS', message)
}

module.exports = { localIp }
