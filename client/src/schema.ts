// Made from docs/openapi.json by `npm run generate`. Do not edit.

export interface paths {
    "/phone-numbers-assign": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Show one number, or all numbers with the agents that they could have
         * @description Shows one number, or all numbers and the agents that they could be assigned to. Without `limit`, as many numbers as 4 MB have room for; `pagination.next_cursor` leads to the rest.
         */
        get: operations["showPhoneNumbers"];
        put?: never;
        /**
         * Assign a number to an agent
         * @description Assigns a number to an agent of the agency.
         */
        post: operations["assignPhoneNumber"];
        /**
         * Take a number from its agent
         * @description Takes a number from its agent. The number is named in the query or in a body, not in both.
         */
        delete: operations["unassignPhoneNumber"];
        options?: never;
        head?: never;
        /**
         * Change a number's settings
         * @description Changes the settings of a number. A member that is absent stays as it is.
         */
        patch: operations["changePhoneNumberSettings"];
        trace?: never;
    };
    "/phone-numbers-list": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the agency's numbers
         * @description Lists the agency's numbers, newest first. Pages by `cursor` neither skip nor repeat a row when rows are added or removed meanwhile.
         */
        get: operations["listPhoneNumbers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/phone-numbers-purchase": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Buy numbers
         * @description Buys numbers, or with `validate_only` checks whether they could be bought. A number that the agency already holds or is buying is not bought again: its purchase is resumed. A problem that all numbers share is the answer itself.
         */
        post: operations["purchasePhoneNumbers"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/phone-numbers-release": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Give numbers back to Telnyx
         * @description Releases numbers, which cannot be undone. A `pending` number's order is cancelled while Telnyx permits that; otherwise the number is in `failed` with `purchase_in_progress`. A repeated request resumes a release that is not finished.
         */
        post: operations["releasePhoneNumbers"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/phone-numbers-search": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Search for numbers on offer
         * @description Searches Telnyx for numbers that can be bought.
         */
        get: operations["searchPhoneNumbers"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description An agent of the platform, as a number's row shows it. */
        AgentMapping: {
            /**
             * Format: uuid
             * @description The mapping's id.
             */
            id: string;
            /** @description The language it expects: a BCP 47 tag. */
            language_hint: string;
            /** @description Whether its calls are recorded. */
            recording_enabled: boolean;
            /** @description The agent's id at Ultravox. */
            ultravox_agent_id: string;
            /** @description The agent's name. */
            ultravox_agent_name: string | null;
            /** @description The agent's voice. */
            voice: string | null;
        };
        AllNumbers: {
            /** @description The agency's agents, ordered by name. */
            available_agents: components["schemas"]["AvailableAgent"][];
            /** @description Which page it is. */
            pagination: components["schemas"]["AssignPagination"];
            /** @description The numbers that the filter selects. */
            phone_numbers: components["schemas"]["PhoneNumber"][];
        };
        AssignPagination: {
            /**
             * Format: int64
             * @description The largest number of rows or entries of a page; null if none was asked for.
             */
            limit: number | null;
            /** @description The `cursor` of the next page; null on the last one. */
            next_cursor: string | null;
        };
        AssignRequest: {
            /**
             * Format: uuid
             * @description The id of the agent mapping that the number is assigned to.
             * @example 0d3c5c6a-6b61-4a7e-8d0a-0f6f3f0c9b55
             */
            agent_mapping_id: string;
            /**
             * @description The call direction that the number is used for. Without it, the present one stays.
             * @example inbound
             * @enum {string|null}
             */
            direction?: "inbound" | "outbound" | null;
            /**
             * Format: uuid
             * @description The `id` of the row.
             * @example 9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a10
             */
            id?: string | null;
            /**
             * Format: uuid
             * @description The same as `id`. Not the `phone_number_id` of a row, which is Telnyx's.
             * @example 9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a10
             */
            phone_number_id?: string | null;
        };
        /** @description An agent that a number could be assigned to. */
        AvailableAgent: {
            /**
             * Format: uuid
             * @description The mapping's id.
             */
            id: string;
            /** @description The agent's id at Ultravox. */
            ultravox_agent_id: string;
            /** @description The agent's name. */
            ultravox_agent_name: string | null;
            /** @description The agent's voice. */
            voice: string | null;
        };
        ChangedNumber: {
            /** @description What was done, as one sentence. */
            message: string;
            /** @description The number as it is now. */
            phone_number: components["schemas"]["PhoneNumber"];
            /** @description Always true. */
            success: boolean;
        };
        /** @description An amount in a currency. */
        Cost: {
            /** @description The amount. */
            amount: string;
            /** @description ISO 4217. */
            currency: string;
        };
        /** @enum {string} */
        Direction: "inbound" | "outbound";
        /** @description A field of the input that is wrong. */
        FieldError: {
            /** @description The parameter or member, such as `phone_numbers[0].phone_number`. */
            field: string;
            /** @description What is wrong with it: the end of a sentence that begins with the field. */
            message: string;
        };
        /** @description The row of a number. */
        HeldNumber: {
            /**
             * Format: uuid
             * @description The agency that holds the number.
             */
            agency_id: string;
            /**
             * Format: uuid
             * @description The id of the agent mapping that the number is assigned to.
             */
            agent_mapping_id: string | null;
            /** @description The agent it is assigned to, in full. */
            agent_mappings: components["schemas"]["AgentMapping"] | null;
            /** @description ISO 3166-1 alpha-2; null until its purchase is confirmed. */
            country_code: string | null;
            /**
             * Format: date-time
             * @description When the row was created.
             */
            created_at: string;
            /** @description The currency of both costs: ISO 4217. */
            currency: string;
            /** @description The default direction of calls. */
            direction: components["schemas"]["Direction"] | null;
            /** @description The agency's own label. It is stored as given: an export to a spreadsheet has to escape a leading `=`, `+`, `-` or `@`. */
            friendly_name: string | null;
            /**
             * Format: uuid
             * @description The row's id. Requests name a number by it, also where the parameter is called `phone_number_id`.
             */
            id: string;
            /** @description False once its release has begun. */
            is_active: boolean;
            /** @description Whether the number takes MMS. */
            mms_enabled: boolean;
            /** @description Paid every month, in `currency`. */
            monthly_cost: string | null;
            /** @description `local`, `toll_free`, …, in Telnyx's words; null until its purchase is confirmed. */
            number_type: string | null;
            /** @description Telnyx's id of the order, which has this number alone. */
            order_id: string | null;
            /** @description The number itself, in E.164. */
            phone_number: string;
            /**
             * @description Telnyx's id of the number, not ours: the parameter `phone_number_id` of requests is `id`. Null until the purchase is
             *     confirmed.
             */
            phone_number_id: string | null;
            /**
             * Format: date-time
             * @description When its purchase was confirmed.
             */
            purchased_at: string | null;
            /**
             * Format: date-time
             * @description When it was given back.
             */
            released_at: string | null;
            /**
             * Format: date-time
             * @description Until when Telnyx waits for missing documents; null if it does not say.
             */
            requirements_deadline?: string | null;
            /** @description Whether Telnyx has every document that it requires; null until Telnyx has said it. */
            requirements_met?: boolean | null;
            /** @description Paid once, in `currency`. */
            setup_cost: string | null;
            /** @description Whether the number takes SMS. */
            sms_enabled: boolean;
            /** @description Where the number is in its life. */
            status: components["schemas"]["Status"];
            /**
             * Format: date-time
             * @description When the row was last changed.
             */
            updated_at: string;
            /** @description Whether the number takes calls. */
            voice_enabled: boolean;
        };
        /** @description An entry of the history of a row. */
        HistoryEntry: {
            /** @description The user's id, or `reconcile`, `operator` or `platform`. */
            actor: string;
            /**
             * Format: date-time
             * @description When it happened.
             */
            at: string;
            /** @description For each column that changed, what it was (`from`) and became (`to`). Empty if that takes more than 10,000 bytes. */
            changes: unknown;
            /** @description `bought`, `assigned`, `unassigned`, `changed`, `released`, `reconciled` or `deleted`. */
            event: string;
        };
        /** @description A page of a list. */
        ListPage: {
            /** @description The agency's agents, ordered by name; only with `include_agents`. */
            available_agents?: components["schemas"]["AvailableAgent"][] | null;
            /** @description Which page it is. */
            pagination: components["schemas"]["Pagination"];
            /** @description The rows, newest first. */
            phone_numbers: components["schemas"]["PhoneNumber"][];
            /** @description All of the agency's rows in sum, whatever the filter. */
            summary: components["schemas"]["Summary"];
        };
        Offer: {
            /** @description Whether the number is a near match. */
            best_effort: boolean;
            /** @description The number's country: ISO 3166-1 alpha-2. */
            country_code: string;
            /** @description The currency of both costs: ISO 4217. */
            currency: string | null;
            /** @description Whether the number can make emergency calls. */
            emergency_enabled: boolean;
            /** @description Whether the number can take faxes. */
            fax_enabled: boolean;
            /** @description Telnyx's names of the number's features. */
            features: string[];
            /** @description Whether the number can take MMS. */
            mms_enabled: boolean;
            /** @description Paid every month; null if Telnyx does not say. */
            monthly_cost: string | null;
            /** @description The number in E.164. */
            phone_number: string;
            /** @description The kind that was searched for, or that of the numbering plan. */
            phone_number_type: string | null;
            /** @description Whether the number works at once. */
            quickship: boolean | null;
            /** @description Where the number is from. */
            region_information: components["schemas"]["Region"][];
            /** @description Whether the number can be reserved. */
            reservable: boolean | null;
            /** @description Whether the number can take SMS. */
            sms_enabled: boolean;
            /** @description Paid once; null if Telnyx does not say. */
            upfront_cost: string | null;
            /** @description Whether the number can take calls. */
            voice_enabled: boolean;
        };
        OneNumber: {
            /** @description What happened to the number; only with `include_history`. */
            history?: components["schemas"]["HistoryEntry"][] | null;
            /** @description Which page of the history it is; only with `include_history`. */
            pagination?: components["schemas"]["AssignPagination"] | null;
            /** @description The number. */
            phone_number: components["schemas"]["PhoneNumber"];
        };
        /** @description Our own order: Telnyx has one for each number. */
        Order: {
            /**
             * Format: date-time
             * @description When the purchase began.
             */
            created_at: string;
            /**
             * Format: uuid
             * @description The id of the purchase.
             */
            id: string;
            /**
             * Format: uint
             * @description How many of the numbers the agency holds or is buying.
             */
            phone_numbers_count: number;
            /** @description Whether Telnyx has every document that it requires. */
            requirements_met: boolean;
            /** @description `pending` while a number is. */
            status: components["schemas"]["OrderStatus"];
        };
        /** @enum {string} */
        OrderStatus: "pending" | "success";
        Pagination: {
            /**
             * Format: int64
             * @description The largest number of rows of a page.
             */
            limit: number;
            /** @description The `cursor` of the next page; null on the last one. */
            next_cursor: string | null;
            /**
             * Format: int64
             * @description How many rows were skipped.
             */
            offset: number;
            /**
             * Format: int64
             * @description How many rows the filter selects; of a filtered list, 1,000 at most.
             */
            total: number;
            /** @description False if the filter selects more rows than `total`. */
            total_is_exact: boolean;
        };
        /** @description A row of `agency_phone_numbers`, with the agent it is assigned to. */
        PhoneNumber: {
            /**
             * Format: uuid
             * @description The agency that holds the number.
             */
            agency_id: string;
            /**
             * Format: uuid
             * @description The id of the agent mapping that the number is assigned to.
             */
            agent_mapping_id: string | null;
            /** @description The agent it is assigned to, in full. */
            agent_mappings: components["schemas"]["AgentMapping"] | null;
            /** @description ISO 3166-1 alpha-2; null until its purchase is confirmed. */
            country_code: string | null;
            /**
             * Format: date-time
             * @description When the row was created.
             */
            created_at: string;
            /** @description The currency of both costs: ISO 4217. */
            currency: string;
            /** @description The default direction of calls. */
            direction: components["schemas"]["Direction"] | null;
            /** @description The agency's own label. It is stored as given: an export to a spreadsheet has to escape a leading `=`, `+`, `-` or `@`. */
            friendly_name: string | null;
            /**
             * Format: uuid
             * @description The row's id. Requests name a number by it, also where the parameter is called `phone_number_id`.
             */
            id: string;
            /** @description False once its release has begun. */
            is_active: boolean;
            /** @description Whether the number takes MMS. */
            mms_enabled: boolean;
            /** @description Paid every month, in `currency`. */
            monthly_cost: string | null;
            /** @description `local`, `toll_free`, …, in Telnyx's words; null until its purchase is confirmed. */
            number_type: string | null;
            /** @description The number itself, in E.164. */
            phone_number: string;
            /**
             * @description Telnyx's id of the number, not ours: the parameter `phone_number_id` of requests is `id`. Null until the purchase is
             *     confirmed.
             */
            phone_number_id: string | null;
            /**
             * Format: date-time
             * @description When its purchase was confirmed.
             */
            purchased_at: string | null;
            /**
             * Format: date-time
             * @description When it was given back.
             */
            released_at: string | null;
            /**
             * Format: date-time
             * @description Until when Telnyx waits for missing documents; null if it does not say.
             */
            requirements_deadline?: string | null;
            /** @description Whether Telnyx has every document that it requires; null until Telnyx has said it. */
            requirements_met?: boolean | null;
            /** @description Paid once, in `currency`. */
            setup_cost: string | null;
            /** @description Whether the number takes SMS. */
            sms_enabled: boolean;
            /** @description Where the number is in its life. */
            status: components["schemas"]["Status"];
            /**
             * Format: date-time
             * @description When the row was last changed.
             */
            updated_at: string;
            /** @description Whether the number takes calls. */
            voice_enabled: boolean;
        };
        /**
         * @description The body of every answer that is not a success, and of every failed item of a partial success.
         *
         *     `error` repeats `detail`, since the documented functions have that member.
         */
        Problem: {
            /**
             * @description The stable name to switch on.
             * @enum {string}
             */
            code: "invalid_request" | "confirmation_required" | "telnyx_not_configured" | "unauthorized" | "insufficient_funds" | "forbidden" | "quota_exceeded" | "not_found" | "method_not_allowed" | "number_unavailable" | "price_exceeded" | "phone_number_released" | "purchase_in_progress" | "number_locked" | "purchase_expired" | "request_in_progress" | "precondition_failed" | "payload_too_large" | "unsupported_media_type" | "idempotency_key_reused" | "upstream_rejected" | "rate_limited" | "internal" | "upstream_error" | "purchases_disabled" | "unavailable";
            /** @description What happened here, as one sentence. */
            detail: string;
            /** @description The text of `detail`. */
            error: string;
            /** @description What is wrong with the input, field by field: the first twenty, of which `detail` tells if there are more. */
            errors?: components["schemas"]["FieldError"][];
            /** @description The request's id, to find it in the log. */
            request_id?: string | null;
            /** @description Whether the same request may succeed later. */
            retryable: boolean;
            /**
             * Format: uint16
             * @description The HTTP status, or the one it would have had alone.
             */
            status: number;
            /** @description The kind of problem in a few words, the same for all of its kind. */
            title: string;
            /** @description A URN that names the kind of problem. */
            type: string;
        };
        PurchaseRequest: {
            /**
             * @description The currency of the limits: ISO 4217.
             * @default USD
             */
            currency?: string | null;
            /**
             * @description The caller's own reference: kept and returned, never sent to Telnyx.
             * @example order 7
             */
            customer_reference?: string | null;
            /**
             * @description The most that each number may cost each month, in `currency`, with at most four decimals.
             * @example 2.00
             */
            max_monthly_cost?: string | null;
            /**
             * @description The most that each number may cost once, in `currency`, with at most four decimals.
             * @example 2.00
             */
            max_upfront_cost?: string | null;
            /** @description The numbers to buy, each of them once. */
            phone_numbers: {
                /**
                 * Format: uuid
                 * @description The id of the agent mapping that the number is assigned to.
                 * @example 0d3c5c6a-6b61-4a7e-8d0a-0f6f3f0c9b55
                 */
                agent_mapping_id?: string | null;
                /**
                 * @description The agency's own label.
                 * @example Front desk
                 */
                friendly_name?: string | null;
                /**
                 * @description The number in E.164, as a search shows it.
                 * @example +13125550123
                 */
                phone_number: string;
            }[];
            /**
             * @description Checks everything, and buys and writes nothing.
             * @default false
             */
            validate_only?: boolean | null;
        };
        PurchaseResult: {
            /** @description The request's own. */
            customer_reference?: string | null;
            /** @description The outcomes in words. */
            message: string;
            /** @description Null if nothing was bought or checked only. */
            order: components["schemas"]["Order"] | null;
            /** @description The numbers, in the order of the request. */
            phone_numbers: components["schemas"]["PurchasedNumber"][];
            /** @description Whether no number failed. */
            success: boolean;
            /** @description Nothing was bought, only checked. */
            validate_only?: boolean;
        };
        /** @description What became of one number of the request. */
        PurchasedNumber: (components["schemas"]["HeldNumber"] & {
            /** @constant */
            outcome: "purchased";
        }) | (components["schemas"]["HeldNumber"] & {
            /** @constant */
            outcome: "pending";
        }) | (components["schemas"]["ValidNumber"] & {
            /** @constant */
            outcome: "valid";
        }) | (components["schemas"]["RefusedNumber"] & {
            /** @constant */
            outcome: "failed";
        });
        /** @description A number, and why it is not bought. */
        RefusedNumber: {
            /** @description The number in E.164. */
            phone_number: string;
            /** @description The problem that the number would have been answered with alone. */
            problem: components["schemas"]["Problem"];
        };
        /** @description A region that a number belongs to. */
        Region: {
            /** @description The region's name. */
            region_name: string | null;
            /** @description Telnyx's name of the kind: `country_code`, `state`, `rate_center` or `location`. */
            region_type: string | null;
        };
        ReleaseRequest: {
            /**
             * @description Must be true, since a release cannot be undone.
             * @example true
             * @constant
             */
            confirm: true;
            /**
             * @description The ids of the rows, each of them once: the `id` of a row, not its `phone_number_id`, which is Telnyx's.
             * @example [
             *       "9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a11"
             *     ]
             */
            phone_number_ids: string[];
        };
        ReleaseResult: {
            /** @description The numbers that are not. */
            failed: components["schemas"]["UnreleasedNumber"][];
            /** @description The counts in words. */
            message: string;
            /** @description The numbers that are released. */
            released: components["schemas"]["ReleasedNumber"][];
            /** @description Whether every number is released. */
            success: boolean;
            /** @description Counts of both. */
            summary: components["schemas"]["ReleaseSummary"];
        };
        ReleaseSummary: {
            /**
             * Format: uint
             * @description How many of them are not.
             */
            failed_count: number;
            /**
             * Format: uint
             * @description How many of them are released.
             */
            released_count: number;
            /**
             * Format: uint
             * @description How many numbers the request names.
             */
            total_requested: number;
        };
        ReleasedNumber: {
            /**
             * Format: uuid
             * @description The id of the row.
             */
            id: string;
            /** @description `Already released` if it was. */
            note?: string | null;
            /** @description The number in E.164. */
            phone_number: string | null;
        };
        SearchMeta: {
            /**
             * Format: int64
             * @description How many of them are near matches.
             */
            best_effort_results: number;
            /** @description The country that was searched: ISO 3166-1 alpha-2. */
            country_code: string;
            /**
             * Format: int64
             * @description The largest number of offers.
             */
            limit: number | null;
            /**
             * Format: int64
             * @description How many offers match.
             */
            total_results: number;
        };
        SearchResult: {
            /** @description What the search was, and what Telnyx counted. */
            meta: components["schemas"]["SearchMeta"];
            /** @description The offers. */
            phone_numbers: components["schemas"]["Offer"][];
        };
        SettingsRequest: {
            /**
             * @description The call direction that the number is used for.
             * @example inbound
             * @enum {string}
             */
            direction?: "inbound" | "outbound";
            /**
             * @description The agency's own label; null clears it.
             * @example Night line
             */
            friendly_name?: string | null;
            /**
             * Format: uuid
             * @description The `id` of the row.
             * @example 9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a10
             */
            id?: string | null;
            /**
             * @description Whether the number takes MMS.
             * @example false
             */
            mms_enabled?: boolean;
            /**
             * Format: uuid
             * @description The same as `id`. Not the `phone_number_id` of a row, which is Telnyx's.
             * @example 9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a10
             */
            phone_number_id?: string | null;
            /**
             * @description Whether the number takes SMS.
             * @example false
             */
            sms_enabled?: boolean;
            /**
             * @description `inactive` disables the number for a time, `active` enables it again.
             * @example inactive
             * @enum {string}
             */
            status?: "active" | "inactive";
            /**
             * @description Whether the number takes calls.
             * @example true
             */
            voice_enabled?: boolean;
        };
        /** @enum {string} */
        Status: "pending" | "active" | "inactive" | "released";
        /** @description An agency's rows in sum, whatever the filter. */
        Summary: {
            /**
             * Format: int64
             * @description In status `active`.
             */
            active: number;
            /**
             * Format: int64
             * @description With an agent, the released left out.
             */
            assigned: number;
            /**
             * Format: int64
             * @description In status `inactive`.
             */
            inactive: number;
            /** @description What the active and inactive ones cost each month, by currency. */
            monthly_cost: components["schemas"]["Cost"][];
            /**
             * Format: int64
             * @description In status `pending`.
             */
            pending: number;
            /**
             * Format: int64
             * @description In status `released`.
             */
            released: number;
            /**
             * Format: int64
             * @description All but the released.
             */
            total: number;
            /**
             * Format: int64
             * @description Without an agent, the released left out.
             */
            unassigned: number;
        };
        UnassignRequest: {
            /**
             * Format: uuid
             * @description The `id` of the row.
             * @example 9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a10
             */
            id?: string | null;
            /**
             * Format: uuid
             * @description The same as `id`. Not the `phone_number_id` of a row, which is Telnyx's.
             * @example 9c1f3d0e-52a4-4b8e-9c61-2f1d9d6f7a10
             */
            phone_number_id?: string | null;
        };
        UnreleasedNumber: {
            /** @description What happened, as one sentence. */
            error: string;
            /**
             * Format: uuid
             * @description The id that the request named.
             */
            id: string;
            /** @description The number in E.164; null if the agency has no such row. */
            phone_number: string | null;
            /** @description The problem that the number would have been answered with alone. */
            problem: components["schemas"]["Problem"];
        };
        /** @description A number, and what it would cost unless the agency has it. */
        ValidNumber: {
            /** @description ISO 3166-1 alpha-2. */
            country_code?: string;
            /** @description ISO 4217. */
            currency?: string | null;
            /** @description Paid every month. */
            monthly_cost?: string | null;
            /** @description The number in E.164. */
            phone_number: string;
            /** @description Paid once. */
            upfront_cost?: string | null;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: {
        /** @description Answers are not stored. */
        "Cache-Control": "no-store";
        /** @description The version of the row in the answer, for `If-Match`. */
        ETag: string;
        /** @description `true`: nothing was done, since an earlier request did it. */
        "Idempotent-Replayed": "true";
        /** @description In how many seconds the request may be repeated. */
        "Retry-After": number;
        /** @description The scheme that the request must use. */
        "WWW-Authenticate": "Bearer";
        /** @description `Content-Type` is what the body is. */
        "X-Content-Type-Options": "nosniff";
        /** @description The request's id, to find it in the log. */
        "X-Request-Id": string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    showPhoneNumbers: {
        parameters: {
            query?: {
                /** @description The `id` of the row to show. Without it, all rows are shown. */
                id?: string;
                /** @description The same as `id`. */
                phone_number_id?: string;
                /** @description Adds `history`. Only together with `id`. */
                include_history?: boolean;
                /** @description Rows in this status. Not together with `id`. */
                status?: "pending" | "active" | "inactive" | "released";
                /** @description Rows with an agent. Neither together with `id` nor with `unassigned`. */
                assigned?: boolean;
                /** @description Rows without an agent. Neither together with `id` nor with `assigned`. */
                unassigned?: boolean;
                /** @description The largest number of rows, or of entries of a history. Without it, as many rows as 4 MB have room for, and 200 entries. */
                limit?: number;
                /** @description `pagination.next_cursor` of the previous page, with the same filters or the same `id`. */
                cursor?: string;
                /** @description What `supabase.functions.invoke` adds for its option `region`. It is accepted and ignored. */
                forceFunctionRegion?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description With `id`: the number, and its history if it was asked for. Without: the numbers, and the agents that they could be assigned to. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OneNumber"] | components["schemas"]["AllNumbers"];
                };
            };
            /** @description `invalid_request`: Invalid request */
            400: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unauthorized`: Unauthorized */
            401: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `forbidden`: Forbidden */
            403: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `not_found`: Not found */
            404: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `internal`: Internal error */
            500: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unavailable`: Service unavailable */
            503: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    assignPhoneNumber: {
        parameters: {
            query?: {
                /** @description What `supabase.functions.invoke` adds for its option `region`. It is accepted and ignored. */
                forceFunctionRegion?: string;
            };
            header?: {
                /** @description Changes the row only if its `ETag` is one of these; otherwise the answer is 412. `*` permits every row. */
                "If-Match"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AssignRequest"];
            };
        };
        responses: {
            /** @description The number is assigned. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChangedNumber"];
                };
            };
            /** @description `invalid_request`: Invalid request */
            400: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unauthorized`: Unauthorized */
            401: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `forbidden`: Forbidden */
            403: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `not_found`: Not found */
            404: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `phone_number_released`: Phone number released */
            409: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `precondition_failed`: Precondition failed */
            412: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `payload_too_large`: Payload too large */
            413: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unsupported_media_type`: Unsupported media type */
            415: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `internal`: Internal error */
            500: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unavailable`: Service unavailable */
            503: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    unassignPhoneNumber: {
        parameters: {
            query?: {
                /** @description The `id` of the row. */
                id?: string;
                /** @description The same as `id`. Not the `phone_number_id` of a row, which is Telnyx's. */
                phone_number_id?: string;
                /** @description What `supabase.functions.invoke` adds for its option `region`. It is accepted and ignored. */
                forceFunctionRegion?: string;
            };
            header?: {
                /** @description Changes the row only if its `ETag` is one of these; otherwise the answer is 412. `*` permits every row. */
                "If-Match"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["UnassignRequest"];
            };
        };
        responses: {
            /** @description The number has no agent. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChangedNumber"];
                };
            };
            /** @description `invalid_request`: Invalid request */
            400: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unauthorized`: Unauthorized */
            401: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `forbidden`: Forbidden */
            403: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `not_found`: Not found */
            404: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `phone_number_released`: Phone number released */
            409: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `precondition_failed`: Precondition failed */
            412: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `payload_too_large`: Payload too large */
            413: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unsupported_media_type`: Unsupported media type */
            415: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `internal`: Internal error */
            500: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unavailable`: Service unavailable */
            503: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    changePhoneNumberSettings: {
        parameters: {
            query?: {
                /** @description What `supabase.functions.invoke` adds for its option `region`. It is accepted and ignored. */
                forceFunctionRegion?: string;
            };
            header?: {
                /** @description Changes the row only if its `ETag` is one of these; otherwise the answer is 412. `*` permits every row. */
                "If-Match"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SettingsRequest"];
            };
        };
        responses: {
            /** @description The settings are changed. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChangedNumber"];
                };
            };
            /** @description `invalid_request`: Invalid request */
            400: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unauthorized`: Unauthorized */
            401: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `forbidden`: Forbidden */
            403: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `not_found`: Not found */
            404: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `phone_number_released`: Phone number released; `purchase_in_progress`: Purchase in progress */
            409: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `precondition_failed`: Precondition failed */
            412: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `payload_too_large`: Payload too large */
            413: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unsupported_media_type`: Unsupported media type */
            415: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `internal`: Internal error */
            500: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unavailable`: Service unavailable */
            503: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listPhoneNumbers: {
        parameters: {
            query?: {
                /** @description Rows in this status. */
                status?: "pending" | "active" | "inactive" | "released";
                /** @description Rows with an agent. Not together with `unassigned`. */
                assigned?: boolean;
                /** @description Rows without an agent. Not together with `assigned`. */
                unassigned?: boolean;
                /** @description Rows with this agent: the id of an agent mapping. */
                agent_id?: string;
                /** @description Part of the friendly name, in small or capital letters, or of the number, in E.164 or as people write it. */
                search?: string;
                /** @description Released rows too. `status=released` needs no such flag. */
                include_released?: boolean;
                /** @description Adds `available_agents`, ordered by name. */
                include_agents?: boolean;
                /** @description The largest number of rows. */
                limit?: number;
                /** @description How many rows are skipped; 0 if it is absent. Not together with `cursor`, which reaches further. */
                offset?: number;
                /** @description `pagination.next_cursor` of the previous page, with the same filters. */
                cursor?: string;
                /** @description What `supabase.functions.invoke` adds for its option `region`. It is accepted and ignored. */
                forceFunctionRegion?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of the list, and the agency's rows in sum. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ListPage"];
                };
            };
            /** @description `invalid_request`: Invalid request */
            400: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unauthorized`: Unauthorized */
            401: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `forbidden`: Forbidden */
            403: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `internal`: Internal error */
            500: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unavailable`: Service unavailable */
            503: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    purchasePhoneNumbers: {
        parameters: {
            query?: {
                /** @description What `supabase.functions.invoke` adds for its option `region`. It is accepted and ignored. */
                forceFunctionRegion?: string;
            };
            header?: {
                /** @description A key of this request: 1 to 255 visible ASCII characters, as a quoted string or as a token. The first final answer to a key is returned again to every repetition. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["PurchaseRequest"];
            };
        };
        responses: {
            /** @description Every number is bought or, with `validate_only`, could be. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "Idempotent-Replayed": components["headers"]["Idempotent-Replayed"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PurchaseResult"];
                };
            };
            /** @description Telnyx has not confirmed at least one order yet. The number is `pending`, and the purchase is finished by a repeated request or by itself. */
            202: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "Idempotent-Replayed": components["headers"]["Idempotent-Replayed"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PurchaseResult"];
                };
            };
            /** @description The outcomes differ: each number has its own. */
            207: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "Idempotent-Replayed": components["headers"]["Idempotent-Replayed"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PurchaseResult"];
                };
            };
            /** @description `invalid_request`: Invalid request; `telnyx_not_configured`: Telnyx is not configured */
            400: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unauthorized`: Unauthorized */
            401: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `insufficient_funds`: Insufficient funds */
            402: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `forbidden`: Forbidden; `quota_exceeded`: Quota exceeded */
            403: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `not_found`: Not found */
            404: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `number_unavailable`: Number unavailable; `price_exceeded`: Price exceeded; `phone_number_released`: Phone number released; `purchase_expired`: Purchase expired; `request_in_progress`: Request in progress */
            409: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `payload_too_large`: Payload too large */
            413: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unsupported_media_type`: Unsupported media type */
            415: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `idempotency_key_reused`: Idempotency key reused; `upstream_rejected`: Rejected by Telnyx */
            422: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `rate_limited`: Rate limited */
            429: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "Retry-After": components["headers"]["Retry-After"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `internal`: Internal error */
            500: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `upstream_error`: Telnyx failed */
            502: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `purchases_disabled`: Purchases disabled; `unavailable`: Service unavailable */
            503: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    releasePhoneNumbers: {
        parameters: {
            query?: {
                /** @description What `supabase.functions.invoke` adds for its option `region`. It is accepted and ignored. */
                forceFunctionRegion?: string;
            };
            header?: {
                /** @description A key of this request: 1 to 255 visible ASCII characters, as a quoted string or as a token. The first final answer to a key is returned again to every repetition. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ReleaseRequest"];
            };
        };
        responses: {
            /** @description Every number is released. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "Idempotent-Replayed": components["headers"]["Idempotent-Replayed"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReleaseResult"];
                };
            };
            /** @description At least one number is not released. */
            207: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "Idempotent-Replayed": components["headers"]["Idempotent-Replayed"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReleaseResult"];
                };
            };
            /** @description `invalid_request`: Invalid request; `confirmation_required`: Confirmation required */
            400: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unauthorized`: Unauthorized */
            401: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `forbidden`: Forbidden */
            403: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `request_in_progress`: Request in progress */
            409: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "Retry-After": components["headers"]["Retry-After"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `payload_too_large`: Payload too large */
            413: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unsupported_media_type`: Unsupported media type */
            415: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `idempotency_key_reused`: Idempotency key reused */
            422: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `internal`: Internal error */
            500: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unavailable`: Service unavailable */
            503: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    searchPhoneNumbers: {
        parameters: {
            query: {
                /** @description The country whose numbers are wanted: ISO 3166-1 alpha-2. */
                country_code: string;
                /** @description The kind of number. */
                phone_number_type?: "local" | "toll_free" | "mobile" | "national";
                /** @description The area code, without a prefix. */
                area_code?: string;
                /** @description The city or rate center. */
                city?: string;
                /** @description The state or province, in two letters. */
                state?: string;
                /** @description Digits anywhere in the national number. */
                contains?: string;
                /** @description The first digits of the national number; with an area code, the digits that follow it. */
                starts_with?: string;
                /** @description The last digits of the national number. */
                ends_with?: string;
                /** @description Features that the number must all have: words separated by commas. */
                features?: string;
                /** @description The largest number of offers. */
                limit?: number;
                /** @description Leaves out +1 toll-free numbers that do not work at once. */
                quickship?: boolean;
                /** @description Adds near matches if there are too few exact ones. */
                best_effort?: boolean;
                /** @description What `supabase.functions.invoke` adds for its option `region`. It is accepted and ignored. */
                forceFunctionRegion?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The numbers on offer, as many as `limit` at most. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SearchResult"];
                };
            };
            /** @description `invalid_request`: Invalid request; `telnyx_not_configured`: Telnyx is not configured */
            400: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unauthorized`: Unauthorized */
            401: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `forbidden`: Forbidden */
            403: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `upstream_rejected`: Rejected by Telnyx */
            422: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `rate_limited`: Rate limited */
            429: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "Retry-After": components["headers"]["Retry-After"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `internal`: Internal error */
            500: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `upstream_error`: Telnyx failed */
            502: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description `unavailable`: Service unavailable */
            503: {
                headers: {
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Content-Type-Options": components["headers"]["X-Content-Type-Options"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
