"use strict";

/* What is shown, and its place in the page's address: #view=tables&table=module&sort=-bytes. Defaults are left out. */

const DEFAULTS = {
	view: "map",
	by: "section",
	path: [],
	at: "",
	from: "",
	to: "",
	only: "",
	table: "module",
	sort: "",
	filter: "",
	theme: "",
};

function readState(fragment) {
	const state = structuredClone(DEFAULTS);
	for (const [key, value] of new URLSearchParams(fragment.replace(/^#/, ""))) {
		if (key === "path")
			state.path = value.split("/").map(decodeURIComponent);
		else if (key in state)
			state[key] = value;
	}
	/* Somebody may have changed a link by hand. */
	const known = {view: /^(map|tables|changes)$/, at: /^[0-9a-f]{0,16}$/, from: /^\d*$/, to: /^\d*$/};
	for (const [key, pattern] of Object.entries(known))
		if (!pattern.test(state[key]))
			state[key] = DEFAULTS[key];
	if (!(state.by in HIERARCHIES))
		state.by = DEFAULTS.by;
	return state;
}

function writeState(state) {
	const words = new URLSearchParams();
	for (const [key, value] of Object.entries(state)) {
		const text = key === "path" ? value.map(encodeURIComponent).join("/") : value;
		if (text !== String(DEFAULTS[key]))
			words.set(key, text);
	}
	return "#" + words;
}
