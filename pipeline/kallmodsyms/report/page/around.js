"use strict";

/* What is around the maps: the path, what is inside as a list, the colours, and what is at the mark. */

function showCrumbs(page, node) {
	const nodes = [];
	for (let one = node; one; one = one.parent)
		nodes.unshift(one);
	id("crumbs").replaceChildren(...nodes.map((one) => {
		const link = made("a", {href: page.link({path: one.path}), textContent: one.label});
		if (one === node)
			link.setAttribute("aria-current", "location");
		return made("li", {}, [link]);
	}));
	const share = ((100 * node.bytes) / page.kernel.bytes).toFixed(2);
	id("inside").textContent = `${number(node.bytes)} bytes, ${share} % of the image`;
}

/* What the treemap shows, as a list: for those who do not see it, and for the smallest. */
function showContents(page, node) {
	const rows = node.children.slice(0, 200).map((child) => {
		const target = child.span < 0 ? {path: child.path} : {at: page.kernel.address(child.span).toString(16)};
		const link = made("a", {href: page.link(target), textContent: child.label});
		return made("tr", {}, [
			made("td", {}, [link]),
			made("td", {className: "numeric", textContent: number(child.bytes)}),
			made("td", {className: "numeric", textContent: ((100 * child.bytes) / node.bytes).toFixed(1)}),
		]);
	});
	const rest = node.children.length - rows.length;
	if (rest > 0)
		rows.push(made("tr", {}, [made("td", {textContent: `and ${number(rest)} smaller`})]));
	id("contents").replaceChildren(...rows);
}

function showLegend(page) {
	const {colors, state} = page;
	const entry = (label, at, more) => {
		const swatch = made("span", {className: "swatch"});
		swatch.style.background = colors.values[at];
		const plain = at >= colors.legend.length;
		if (plain)
			return made("li", {}, [swatch, more ?? label]);
		const button = made("button", {type: "button"}, [swatch, label]);
		button.setAttribute("aria-pressed", String(state.only === label));
		button.addEventListener("click", () => page.go({only: state.only === label ? "" : label}));
		return made("li", {}, [button]);
	};
	const items = colors.names.map((label, at) =>
		entry(label, at, label === "other modules" ? `${number(colors.otherCount)} other modules` : undefined));
	if (state.only && !colors.legend.some((one) => one.label === state.only)) {
		const button = made("button", {type: "button", textContent: `only ${state.only} ✕`});
		button.setAttribute("aria-pressed", "true");
		button.addEventListener("click", () => page.go({only: ""}));
		items.unshift(made("li", {}, [button]));
	}
	id("legend").replaceChildren(...items);
}

function showSelection(page) {
	const {state, kernel} = page;
	const box = id("selection");
	const place = state.at ? kernel.placeOf(BigInt("0x" + state.at)) : -1;
	box.hidden = place < 0;
	if (place < 0)
		return;
	const span = kernel.spanAt(place);
	const address = BigInt("0x" + state.at);
	const symbol = kernel.address(span);
	const name = kernel.label(span);
	const offset = address > symbol ? `+0x${(address - symbol).toString(16)}` : "";
	const module = kernel.called("module", span);
	const object = kernel.called("object", span);
	const section = kernel.sections[kernel.section[span]].name;
	const source = kernel.strings[kernel.owners.source[kernel.owner[span]]];
	const facts = [
		["symbol", name ? name + offset : NO_SYMBOL],
		["address", kernel.hex(address)],
		[name ? "size" : "bytes", `${number(kernel.size[span])} from ${kernel.hex(symbol)}`],
		["section", section, page.link({by: "section", path: [section]})],
		["module", module, page.link({by: "module", path: [module], only: module})],
		["object", object, page.link({by: "module", path: [module, object]})],
		["source", source || "not known"],
		["option", kernel.called("option", span)],
		["MAINTAINERS", kernel.called("maintainer", span)],
	];
	box.querySelector("dl").replaceChildren(...facts.map(([title, text, href]) => made("div", {}, [
		made("dt", {textContent: title}),
		made("dd", {}, [href ? made("a", {href, textContent: text}) : text]),
	])));
}
