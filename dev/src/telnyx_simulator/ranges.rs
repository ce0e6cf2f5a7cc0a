//! The ranges of the numbers on offer: area codes, places, features and prices.

/// A block of numbers of one kind in one place.
#[derive(Debug)]
pub(super) struct Range {
    /// ISO 3166-1 alpha-2.
    pub(super) country: &'static str,
    pub(super) dial_code: &'static str,
    /// National destination code: the area code.
    pub(super) ndc: &'static str,
    pub(super) phone_number_type: &'static str,
    pub(super) locality: &'static str,
    /// State or province; empty if Telnyx names none.
    pub(super) administrative_area: &'static str,
    /// Only in the US, Canada and their neighbours under +1; empty elsewhere.
    pub(super) rate_center: &'static str,
    /// First digits of the subscriber numbers.
    pub(super) leads: &'static [&'static str],
    /// Length of a subscriber number.
    pub(super) digits: usize,
    pub(super) features: &'static [&'static str],
    /// The features of every eighth number instead.
    pub(super) fewer_features: &'static [&'static str],
    pub(super) upfront_cost: &'static str,
    pub(super) monthly_cost: &'static str,
    pub(super) count: usize,
}

/// Exchanges valid in every area code of +1: 200 to 999, none of them N11 or 555.
const EXCHANGES: &[&str] = &["332", "347", "385", "426", "462", "538", "645", "663", "728", "774", "827", "839", "882", "946", "967"];

const NORTH_AMERICA: &[&str] = &["voice", "sms", "mms", "fax", "emergency", "hd_voice", "local_calling"];
const NORTH_AMERICA_VOICE: &[&str] = &["voice", "fax", "emergency", "local_calling"];
const TOLL_FREE: &[&str] = &["voice", "sms", "mms", "fax", "hd_voice"];
const TOLL_FREE_VOICE: &[&str] = &["voice", "fax"];
const LANDLINE: &[&str] = &["voice", "fax", "emergency", "local_calling"];
const LANDLINE_SMS: &[&str] = &["voice", "sms", "fax", "emergency", "local_calling"];
const VOICE: &[&str] = &["voice"];
const MOBILE: &[&str] = &["voice", "sms", "international_sms", "local_calling"];
const MOBILE_SMS: &[&str] = &["sms", "international_sms"];

/// Local numbers in an area code of +1.
const fn area(country: &'static str, ndc: &'static str, state: &'static str, city: &'static str, rate_center: &'static str) -> Range {
    Range {
        country,
        dial_code: "1",
        ndc,
        phone_number_type: "local",
        locality: city,
        administrative_area: state,
        rate_center,
        leads: EXCHANGES,
        digits: 7,
        features: NORTH_AMERICA,
        fewer_features: NORTH_AMERICA_VOICE,
        upfront_cost: "1.00000",
        monthly_cost: "1.00000",
        count: 80,
    }
}

const fn toll_free(ndc: &'static str) -> Range {
    Range { phone_number_type: "toll_free", features: TOLL_FREE, fewer_features: TOLL_FREE_VOICE, count: 60, ..area("US", ndc, "", "", "") }
}

/// Who gives out a number abroad, and for how much.
struct Plan {
    country: &'static str,
    dial_code: &'static str,
    upfront_cost: &'static str,
    monthly_cost: &'static str,
}

/// What kind of number it is, and what it can do.
struct Kind(&'static str, &'static [&'static str], &'static [&'static str]);

const LOCAL: Kind = Kind("local", LANDLINE, VOICE);
const LOCAL_WITH_SMS: Kind = Kind("local", LANDLINE_SMS, VOICE);
const ON_MOBILE: Kind = Kind("mobile", MOBILE, MOBILE_SMS);
const FREE: Kind = Kind("toll_free", TOLL_FREE_VOICE, VOICE);
const NATIONAL: Kind = Kind("national", LANDLINE, VOICE);
const SHARED_COST: Kind = Kind("shared_cost", TOLL_FREE_VOICE, VOICE);

/// Numbers outside +1; `shape` is the length of a subscriber number and what it begins with.
const fn abroad(plan: &Plan, kind: &Kind, ndc: &'static str, locality: &'static str, shape: (usize, &'static [&'static str])) -> Range {
    Range {
        country: plan.country,
        dial_code: plan.dial_code,
        ndc,
        phone_number_type: kind.0,
        locality,
        administrative_area: "",
        rate_center: "",
        leads: shape.1,
        digits: shape.0,
        features: kind.1,
        fewer_features: kind.2,
        upfront_cost: plan.upfront_cost,
        monthly_cost: plan.monthly_cost,
        count: 30,
    }
}

const GB: Plan = Plan { country: "GB", dial_code: "44", upfront_cost: "1.00000", monthly_cost: "1.00000" };
const DE: Plan = Plan { country: "DE", dial_code: "49", upfront_cost: "3.00000", monthly_cost: "2.00000" };
const FR: Plan = Plan { country: "FR", dial_code: "33", upfront_cost: "1.00000", monthly_cost: "1.50000" };
const AU: Plan = Plan { country: "AU", dial_code: "61", upfront_cost: "4.00000", monthly_cost: "3.00000" };
const NL: Plan = Plan { country: "NL", dial_code: "31", upfront_cost: "2.00000", monthly_cost: "1.80000" };
const MX: Plan = Plan { country: "MX", dial_code: "52", upfront_cost: "6.00000", monthly_cost: "4.00000" };
const ES: Plan = Plan { country: "ES", dial_code: "34", upfront_cost: "1.00000", monthly_cost: "1.20000" };
const IE: Plan = Plan { country: "IE", dial_code: "353", upfront_cost: "1.00000", monthly_cost: "1.40000" };

/// The whole table.
pub(super) static RANGES: &[Range] = &[
    area("US", "212", "NY", "New York", "NEW YORK"),
    area("US", "646", "NY", "New York", "NEW YORK"),
    area("US", "917", "NY", "New York", "NEW YORK"),
    area("US", "718", "NY", "Brooklyn", "BROOKLYN"),
    area("US", "516", "NY", "Hempstead", "HEMPSTEAD"),
    area("US", "716", "NY", "Buffalo", "BUFFALO"),
    area("US", "312", "IL", "Chicago", "CHICAGO"),
    area("US", "773", "IL", "Chicago", "CHICAGO"),
    area("US", "872", "IL", "Chicago", "CHICAGO"),
    area("US", "217", "IL", "Springfield", "SPRINGFIELD"),
    area("US", "415", "CA", "San Francisco", "SAN FRANCISCO"),
    area("US", "628", "CA", "San Francisco", "SAN FRANCISCO"),
    area("US", "510", "CA", "Oakland", "OAKLAND"),
    area("US", "408", "CA", "San Jose", "SAN JOSE"),
    area("US", "213", "CA", "Los Angeles", "LOS ANGELES"),
    area("US", "310", "CA", "Beverly Hills", "BEVERLY HILLS"),
    area("US", "619", "CA", "San Diego", "SAN DIEGO"),
    area("US", "916", "CA", "Sacramento", "SACRAMENTO"),
    area("US", "305", "FL", "Miami", "MIAMI"),
    area("US", "786", "FL", "Miami", "MIAMI"),
    area("US", "407", "FL", "Orlando", "ORLANDO"),
    area("US", "813", "FL", "Tampa", "TAMPA"),
    area("US", "404", "GA", "Atlanta", "ATLANTA"),
    area("US", "470", "GA", "Atlanta", "ATLANTA"),
    area("US", "214", "TX", "Dallas", "DALLAS"),
    area("US", "469", "TX", "Dallas", "DALLAS"),
    area("US", "512", "TX", "Austin", "AUSTIN"),
    area("US", "713", "TX", "Houston", "HOUSTON"),
    area("US", "210", "TX", "San Antonio", "SAN ANTONIO"),
    area("US", "206", "WA", "Seattle", "SEATTLE"),
    area("US", "425", "WA", "Bellevue", "BELLEVUE"),
    area("US", "303", "CO", "Denver", "DENVER"),
    area("US", "720", "CO", "Denver", "DENVER"),
    area("US", "602", "AZ", "Phoenix", "PHOENIX"),
    area("US", "702", "NV", "Las Vegas", "LAS VEGAS"),
    area("US", "503", "OR", "Portland", "PORTLAND"),
    area("US", "617", "MA", "Boston", "BOSTON"),
    area("US", "857", "MA", "Boston", "BOSTON"),
    area("US", "215", "PA", "Philadelphia", "PHILADELPHIA"),
    area("US", "412", "PA", "Pittsburgh", "PITTSBURGH"),
    area("US", "202", "DC", "Washington", "WASHINGTON"),
    area("US", "301", "MD", "Bethesda", "BETHESDA"),
    area("US", "703", "VA", "Arlington", "ARLINGTON"),
    area("US", "704", "NC", "Charlotte", "CHARLOTTE"),
    area("US", "919", "NC", "Raleigh", "RALEIGH"),
    area("US", "615", "TN", "Nashville", "NASHVILLE"),
    area("US", "313", "MI", "Detroit", "DETROIT"),
    area("US", "216", "OH", "Cleveland", "CLEVELAND"),
    area("US", "614", "OH", "Columbus", "COLUMBUS"),
    area("US", "317", "IN", "Indianapolis", "INDIANAPOLIS"),
    area("US", "612", "MN", "Minneapolis", "MINNEAPOLIS"),
    area("US", "314", "MO", "Saint Louis", "SAINT LOUIS"),
    area("US", "504", "LA", "New Orleans", "NEW ORLEANS"),
    area("US", "801", "UT", "Salt Lake City", "SALT LAKE CITY"),
    area("US", "201", "NJ", "Jersey City", "JERSEY CITY"),
    area("US", "973", "NJ", "Newark", "NEWARK"),
    area("US", "808", "HI", "Honolulu", "HONOLULU"),
    area("US", "907", "AK", "Anchorage", "ANCHORAGE"),
    area("CA", "416", "ON", "Toronto", "TORONTO"),
    area("CA", "647", "ON", "Toronto", "TORONTO"),
    area("CA", "613", "ON", "Ottawa", "OTTAWA"),
    area("CA", "514", "QC", "Montreal", "MONTREAL"),
    area("CA", "438", "QC", "Montreal", "MONTREAL"),
    area("CA", "418", "QC", "Quebec City", "QUEBEC CITY"),
    area("CA", "604", "BC", "Vancouver", "VANCOUVER"),
    area("CA", "778", "BC", "Vancouver", "VANCOUVER"),
    area("CA", "403", "AB", "Calgary", "CALGARY"),
    area("CA", "780", "AB", "Edmonton", "EDMONTON"),
    area("CA", "204", "MB", "Winnipeg", "WINNIPEG"),
    area("CA", "902", "NS", "Halifax", "HALIFAX"),
    area("PR", "787", "PR", "San Juan", "SAN JUAN"),
    area("PR", "939", "PR", "Ponce", "PONCE"),
    toll_free("800"),
    toll_free("833"),
    toll_free("844"),
    toll_free("855"),
    toll_free("866"),
    toll_free("877"),
    toll_free("888"),
    abroad(&GB, &LOCAL, "20", "London", (8, &["72", "78", "83"])),
    abroad(&GB, &LOCAL, "161", "Manchester", (7, &["2", "4", "8"])),
    abroad(&GB, &LOCAL, "121", "Birmingham", (7, &["2", "4", "7"])),
    abroad(&GB, &LOCAL, "131", "Edinburgh", (7, &["2", "3", "6"])),
    abroad(&GB, &ON_MOBILE, "7400", "", (6, &["1", "2", "5"])),
    abroad(&GB, &ON_MOBILE, "7520", "", (6, &["3", "6"])),
    abroad(&GB, &FREE, "800", "", (7, &["048", "086"])),
    abroad(&GB, &NATIONAL, "330", "", (7, &["128", "174"])),
    abroad(&GB, &SHARED_COST, "844", "", (7, &["350", "462"])),
    abroad(&DE, &LOCAL, "30", "Berlin", (8, &["22", "57"])),
    abroad(&DE, &LOCAL, "89", "Munich", (8, &["21", "54"])),
    abroad(&DE, &LOCAL, "40", "Hamburg", (8, &["22", "43"])),
    abroad(&DE, &LOCAL, "69", "Frankfurt", (8, &["24", "95"])),
    abroad(&DE, &ON_MOBILE, "1573", "", (7, &["4", "5"])),
    abroad(&DE, &FREE, "800", "", (7, &["1", "7"])),
    abroad(&DE, &NATIONAL, "32", "", (9, &["221", "229"])),
    abroad(&FR, &LOCAL, "1", "Paris", (8, &["40", "53", "76", "84"])),
    abroad(&FR, &LOCAL, "4", "Lyon", (8, &["72", "78"])),
    abroad(&FR, &LOCAL, "4", "Marseille", (8, &["91", "96"])),
    abroad(&FR, &ON_MOBILE, "7", "", (8, &["56", "80"])),
    abroad(&FR, &NATIONAL, "9", "", (8, &["72", "80"])),
    abroad(&FR, &FREE, "805", "", (6, &["1", "2", "6"])),
    abroad(&AU, &LOCAL, "2", "Sydney", (8, &["80", "91"])),
    abroad(&AU, &LOCAL, "3", "Melbourne", (8, &["90", "96"])),
    abroad(&AU, &LOCAL, "7", "Brisbane", (8, &["30", "31"])),
    abroad(&AU, &ON_MOBILE, "480", "", (6, &["0", "1", "2"])),
    abroad(&AU, &FREE, "1800", "", (6, &["3", "5", "8"])),
    abroad(&AU, &NATIONAL, "1300", "", (6, &["4", "6", "7"])),
    abroad(&NL, &LOCAL, "20", "Amsterdam", (7, &["2", "7", "8"])),
    abroad(&NL, &LOCAL, "10", "Rotterdam", (7, &["2", "3", "7"])),
    abroad(&NL, &LOCAL, "70", "The Hague", (7, &["2", "3", "7"])),
    abroad(&NL, &ON_MOBILE, "6", "", (8, &["1", "5"])),
    abroad(&NL, &FREE, "800", "", (7, &["0", "2"])),
    abroad(&NL, &NATIONAL, "85", "", (7, &["1", "2"])),
    abroad(&MX, &LOCAL_WITH_SMS, "55", "Mexico City", (8, &["41", "85"])),
    abroad(&MX, &LOCAL_WITH_SMS, "33", "Guadalajara", (8, &["15", "23"])),
    abroad(&MX, &LOCAL_WITH_SMS, "81", "Monterrey", (8, &["16", "23"])),
    abroad(&MX, &FREE, "800", "", (7, &["2", "7"])),
    abroad(&ES, &LOCAL, "91", "Madrid", (7, &["1", "2", "8"])),
    abroad(&ES, &LOCAL, "93", "Barcelona", (7, &["1", "2", "8"])),
    abroad(&ES, &ON_MOBILE, "6", "", (8, &["03", "12"])),
    abroad(&ES, &FREE, "900", "", (6, &["8", "9"])),
    abroad(&IE, &LOCAL, "1", "Dublin", (7, &["2", "4", "6"])),
    abroad(&IE, &FREE, "1800", "", (6, &["8", "9"])),
];
