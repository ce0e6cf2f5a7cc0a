-- How much each agency and user may do in a time, if the settings limit it.
--
-- A row is an allowance that is used up by requests and grows back evenly. The one time that it stores is when the allowance will
-- be whole again: a request moves it on by its share, and is refused if that would be further away than the whole allowance
-- takes to grow back.

create table if not exists phone_number_search_rates (
  user_id uuid not null,
  whole_at timestamptz not null,
  constraint phone_number_search_rates_pkey
    primary key (user_id)
);

comment on table phone_number_search_rates is
  'How much each user has searched lately. Empty unless searches are limited.';

comment on column phone_number_search_rates.whole_at is
  'When the user may search as often as the limit permits again, on the database''s clock.';

create table if not exists phone_number_purchase_rates (
  agency_id uuid not null,
  whole_at timestamptz not null,
  constraint phone_number_purchase_rates_pkey
    primary key (agency_id)
);

comment on table phone_number_purchase_rates is
  'How many purchases each agency has begun lately. Empty unless purchases are limited.';

comment on column phone_number_purchase_rates.whole_at is
  'When the agency may begin as many purchases as the limit permits again, on the database''s clock.';
