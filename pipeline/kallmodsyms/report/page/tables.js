"use strict";

/* A Kernel enters; what its tables have leaves: columns and rows for a Grid. `link` makes the address of a view. */

const KINDS = ["code", "rodata", "data", "bss"];
const TABLES = {
	section: "sections",
	module: "modules",
	object: "objects",
	symbol: "symbols",
	shared: "objects of several modules",
	directory: "directories",
	option: "CONFIG options",
	maintainer: "MAINTAINERS entries",
};

/* Of each group of a kind: label, bytes, bytes by kind of section, symbols. */
function sums(kernel, group) {
	const {key, label} = levelOf(kernel, group);
	const rows = new Map();
	for (let span = 0; span < kernel.count; span++) {
		const which = key(span);
		let row = rows.get(which);
		if (row === undefined) {
			row = {label: label(which), key: which, bytes: 0, code: 0, rodata: 0, data: 0, bss: 0, symbols: 0};
			rows.set(which, row);
		}
		if (kernel.bytes_of[span]) {
			row.bytes += kernel.bytes_of[span];
			row[kernel.sections[kernel.section[span]].kind] += kernel.bytes_of[span];
		}
		row.symbols += kernel.name[span] ? 1 : 0;
	}
	return [...rows.values()];
}

function numeric(key, title, sum = false) {
	return {key, title, numeric: true, sum, value: (row) => row[key]};
}

function tableOf(kernel, table, link) {
	if (table === "symbol")
		return symbolTable(kernel, link);
	if (table === "section")
		return sectionTable(kernel, link);
	const group = table === "shared" ? "object" : table;
	let rows = sums(kernel, group);
	const share = (row) => (100 * row.bytes) / kernel.bytes;
	const columns = [
		{key: "label", title: group, text: (row) => row.label, link: (row) => link(placeOf(kernel, group, row))},
		numeric("bytes", "bytes", true),
		{key: "share", title: "%", numeric: true, value: share, text: (row) => share(row).toFixed(2)},
		...KINDS.map((kind) => numeric(kind, kind)),
		numeric("symbols", "symbols", true),
	];
	if (group === "object") {
		const module = kernel.groups.module;
		columns.splice(1, 0, {key: "module", title: "module", text: (row) => module.labels[module.owners[row.key]]});
		if (table === "shared")
			rows = rows.filter((row) => kernel.owners.shared[row.key]);
	}
	return {columns, rows, sort: "-bytes"};
}

/* Where the treemap shows a row of a table. */
function placeOf(kernel, group, row) {
	const {labels, owners} = kernel.groups.module;
	if (group === "object")
		return {by: "module", path: [labels[owners[row.key]], row.label]};
	if (group === "directory" && row.label.includes("/"))
		return {by: group, path: [row.label.split("/")[0], row.label]};
	return {by: group, path: [row.label]};
}

function sectionTable(kernel, link) {
	const symbols = new Map(sums(kernel, "section").map((row) => [row.key, row.symbols]));
	const rows = kernel.sections.map((one, at) => ({...one, bytes: one.size, symbols: symbols.get(at) ?? 0}));
	const end = (row) => row.address + BigInt(row.size);
	const columns = [
		{key: "label", title: "section", text: (row) => row.name, link: (row) => link({by: "section", path: [row.name]})},
		{key: "kind", title: "kind", text: (row) => row.kind},
		{key: "address", title: "address", value: (row) => row.address, text: (row) => kernel.hex(row.address)},
		{key: "end", title: "end", value: end, text: (row) => kernel.hex(end(row))},
		numeric("bytes", "bytes", true),
		numeric("symbols", "symbols", true),
	];
	return {columns, rows, sort: "address"};
}

function symbolTable(kernel, link) {
	const rows = [];
	for (let span = 0; span < kernel.count; span++)
		if (kernel.name[span])
			rows.push(span);
	const hex = (span) => kernel.hex(kernel.address(span));
	const place = (span) => link({at: kernel.address(span).toString(16)});
	const columns = [
		{key: "label", title: "symbol", text: (span) => kernel.label(span), link: place},
		{key: "address", title: "address", text: hex},
		{key: "type", title: "type", text: (span) => String.fromCharCode(kernel.letter[span])},
		{key: "size", title: "size", numeric: true, value: (span) => kernel.size[span]},
		{key: "bytes", title: "bytes", numeric: true, sum: true, value: (span) => kernel.bytes_of[span]},
		{key: "section", title: "section", text: (span) => kernel.sections[kernel.section[span]].name},
		{key: "module", title: "module", text: (span) => kernel.called("module", span)},
		{key: "object", title: "object", text: (span) => kernel.called("object", span)},
	];
	return {columns, rows, sort: "-size"};
}

/* What changed, by a key of the changes: before, after, difference. What did not change is in both sums. */
function changeTable(kernel, level) {
	const {changes, strings} = kernel;
	const rows = new Map();
	const row = (label) => {
		if (!rows.has(label))
			rows.set(label, {label, before: 0, after: 0, difference: 0, changed: 0});
		return rows.get(label);
	};
	const symbols = level === "symbol";
	changes[level].forEach((text, at) => {
		const where = `(${strings[changes.object[at]]}, ${strings[changes.section[at]]})`;
		const one = row(symbols ? `${strings[text] || NO_SYMBOL} ${where}` : strings[text]);
		one.difference += changes.after[at] - changes.before[at];
		one.after += symbols ? changes.after[at] : 0;
		one.changed++;
	});
	if (!symbols)
		for (const sum of sums(kernel, level))
			if (rows.has(sum.label))
				rows.get(sum.label).after += sum.bytes;
	const found = [...rows.values()];
	let most = 0;
	for (const one of found) {
		one.before = one.after - one.difference;
		one.size = Math.abs(one.difference);
		most = Math.max(most, one.size);
	}
	const signed = (value) => (value > 0 ? "+" : "") + number(value);
	const columns = [
		{key: "label", title: level, text: (one) => one.label},
		numeric("before", "before", true),
		numeric("after", "after", true),
		{...numeric("difference", "difference", true), text: (one) => signed(one.difference), bar: most},
		{key: "size", title: "how much", numeric: true, value: (one) => one.size},
		numeric("changed", "places"),
	];
	return {columns, rows: found, sort: "-size"};
}
