-- A stand-in for the platform's own tables, as far as the functions read them. For a database on your own machine and
-- for tests; no migration, and never part of a deploy. It runs before the migrations, creates what is missing, and
-- touches nothing that exists.

do $platform$
begin
  if to_regtype('call_direction') is null then
    create type call_direction as enum ('inbound', 'outbound');
  end if;

  if to_regtype('user_role') is null then
    create type user_role as enum (
      'agency_owner',
      'agency_admin',
      'agency_member',
      'client_admin',
      'client_viewer',
      'admin'
    );
  end if;
end
$platform$;

create table if not exists agencies (
  id uuid default gen_random_uuid() not null,
  name varchar(255) not null,
  slug varchar(255) not null,
  telnyx_application_id varchar(255),
  telephony_configured boolean default false not null,
  settings jsonb default '{}' not null,
  constraint agencies_pkey
    primary key (id),
  constraint agencies_slug_unique
    unique (slug)
);

create table if not exists users (
  id uuid not null,
  agency_id uuid,
  role user_role not null,
  email varchar(255) not null,
  constraint users_pkey
    primary key (id),
  constraint users_agency_id_fkey
    foreign key (agency_id)
    references agencies (id)
    on delete cascade
);

create table if not exists agent_mappings (
  id uuid default gen_random_uuid() not null,
  agency_id uuid not null,
  ultravox_agent_id varchar(255) not null,
  ultravox_agent_name varchar(255),
  voice varchar(100),
  language_hint varchar(10) default 'en' not null,
  recording_enabled boolean default true not null,
  default_direction call_direction,
  created_at timestamptz default now() not null,
  updated_at timestamptz default now() not null,
  constraint agent_mappings_pkey
    primary key (id),
  constraint agent_mappings_agency_id_fkey
    foreign key (agency_id)
    references agencies (id)
    on delete cascade,
  constraint agent_mappings_agency_agent_unique
    unique (agency_id, ultravox_agent_id)
);
