// How values are shown.

import { el } from "./dom.js";

// A number in groups, as people read it. The groups are set apart by style alone: its text stays the number in E.164.
export const number = (e164) => {
  const groups = e164.match(/^(\+1)(\d{3})(\d{3})(\d{4})$/)?.slice(1) ?? [e164];
  return el("span", { class: "number" }, groups.map((group) => el("span", {}, group)));
};

export const money = (amount, currency) => {
  if (amount === null || amount === undefined) return "unknown";
  const shown = new Intl.NumberFormat("en", { style: "currency", currency: currency ?? "USD", maximumFractionDigits: 4, minimumFractionDigits: 2 });
  return shown.format(amount);
};

export const time = (at) => {
  const date = new Date(at);
  const sameDay = date.toDateString() === new Date().toDateString();
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
  return el("time", { datetime: at }, date.toLocaleString("en-GB", sameDay ? options : { day: "numeric", month: "short", ...options }));
};

export const status = (value) => el("span", { class: `status ${value}` }, value);

const TYPES = { local: "Local", toll_free: "Toll-free", mobile: "Mobile", national: "National" };
export const type = (value) => TYPES[value] ?? value ?? "Unknown";

const FEATURES = { voice: "Voice", sms: "SMS", mms: "MMS", fax: "Fax", emergency: "Emergency" };
export const feature = (name) => FEATURES[name];
export const capabilities = (offer) =>
  el("ul", { class: "chips", role: "list" }, Object.keys(FEATURES).filter((name) => offer[`${name}_enabled`]).map((name) => el("li", {}, FEATURES[name])));

// The most precise part of a region that has a name, and its state.
export const region = (offer) => {
  const parts = Object.fromEntries(offer.region_information.map(({ region_type: kind, region_name: name }) => [kind, name]));
  const place = (parts.location ?? parts.city ?? parts.rate_center ?? "").toLowerCase().replace(/(^|[\s-])\p{L}/gu, (letter) => letter.toUpperCase());
  return [place, parts.state].filter(Boolean).join(", ") || parts.country_code || offer.country_code;
};
