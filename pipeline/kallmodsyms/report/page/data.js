"use strict";

/*
 * The data of the page enters, as report/pack.py writes it; a Kernel leaves: columns of spans, which fill the sections,
 * and who owns them. Addresses do not fit a number, so a span has its offset in a section, and a section a BigInt.
 */

async function inflate(base64) {
	const raw = atob(base64);
	const bytes = new Uint8Array(raw.length);
	for (let at = 0; at < raw.length; at++)
		bytes[at] = raw.charCodeAt(at);
	const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
	return new Response(stream).json();
}

class Kernel {
	constructor(packed) {
		this.path = packed.path;
		this.buildId = packed.buildId;
		this.bits = packed.bits;
		this.listed = packed.listed;
		this.bytes = packed.bytes;
		this.other = packed.other;
		this.strings = packed.strings.split("\0");
		this.groups = packed.groups;
		this.owners = packed.owners;
		this.nowhere = packed.nowhere.map((address) => BigInt("0x" + address));
		this.changes = packed.changes;
		this._unpackSections(packed.sections);
		this._unpackSpans(packed.spans);
	}

	/* place: where a section begins when all of them are put one behind the other */
	_unpackSections(rows) {
		let place = 0;
		let first = 0;
		this.sections = rows.map(([name, address, size, kind, count]) => {
			const found = {name: this.strings[name], address: BigInt("0x" + address), size, kind, place, first, count};
			place += size;
			first += count;
			return found;
		});
		this.count = first;
	}

	_unpackSpans(columns) {
		const count = this.count;
		this.bytes_of = Float64Array.from(columns.bytes);
		this.owner = new Uint32Array(count);
		this.name = new Uint32Array(count);
		this.section = new Uint16Array(count);
		this.place = new Float64Array(count);
		this.ahead = new Float64Array(count);
		this.size = new Float64Array(count);
		this.letter = new Uint8Array(count);
		this.symbolCount = columns.letters.length;
		let owner = 0;
		let name = 0;
		let symbol = 0;
		this.sections.forEach((section, at) => {
			let place = section.place;
			for (let span = section.first; span < section.first + section.count; span++) {
				owner += columns.owner[span];
				this.owner[span] = owner;
				this.section[span] = at;
				this.place[span] = place;
				const distance = columns.name[span];
				if (distance) {
					name += distance > 0 ? distance - 1 : distance;
					this.name[span] = name;
					this.ahead[span] = columns.ahead[symbol];
					this.size[span] = this.bytes_of[span] + columns.more[symbol];
					this.letter[span] = columns.letters.charCodeAt(symbol);
					symbol++;
				} else {
					this.size[span] = this.bytes_of[span];
				}
				place += this.bytes_of[span];
			}
		});
	}

	/* The address of a span's symbol, or of its first byte where it has none. */
	address(span) {
		const section = this.sections[this.section[span]];
		if (!section.size)
			return this.nowhere[span - section.first];
		return section.address + BigInt(this.place[span] - section.place - this.ahead[span]);
	}

	hex(address) {
		return address.toString(16).padStart(this.bits / 4, "0");
	}

	label(span) {
		return this.name[span] ? this.strings[this.name[span]] : "";
	}

	/* What the owner of a span is called in a group: module, directory, option, maintainer, object. */
	called(group, span) {
		const {labels, owners} = this.groups[group];
		return labels[owners[this.owner[span]]];
	}

	/* Where the byte at an address is, when all sections are put one behind the other; -1 for no byte. */
	placeOf(address) {
		for (const section of this.sections) {
			const offset = address - section.address;
			if (offset >= 0n && offset < BigInt(section.size))
				return section.place + Number(offset);
		}
		return -1;
	}

	addressOf(place) {
		const section = this.sections[this.section[this.spanAt(place)]];
		return section.address + BigInt(Math.floor(place) - section.place);
	}

	/* The span with the byte at a place. */
	spanAt(place) {
		let low = 0;
		let high = this.count;
		while (low + 1 < high) {
			const middle = (low + high) >>> 1;
			if (this.place[middle] <= place)
				low = middle;
			else
				high = middle;
		}
		while (low > 0 && !(this.bytes_of[low] && this.place[low] <= place))
			low--;
		return low;
	}
}

const grouped = new Intl.NumberFormat("en-US");

function number(value) {
	return grouped.format(value);
}

/* Bytes for people: 1,234 bytes as 1.2 KiB. */
function rounded(bytes) {
	for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]])
		if (Math.abs(bytes) >= size)
			return `${(bytes / size).toFixed(1)} ${unit}`;
	return `${bytes} B`;
}
