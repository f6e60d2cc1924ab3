"""Make the sample data of the classical scenario from the CC0 data of the R package nycflights13.

Every flight that left New York City in 2013 and the hourly weather at its airports, as published by the US Bureau of
Transportation Statistics and the Iowa Environmental Mesonet, becomes small Parquet files inside the template:

    python scripts/make_sample_data.py flights.parquet weather.parquet

The two arguments are the tables ``flights`` and ``weather`` of the package, exported column by column. Needs pandas
and pyarrow. The same input and library versions always give the same bytes.
"""

import argparse
from pathlib import Path

import pandas as pd

CLASSICAL = Path(__file__).resolve().parents[1] / "scenarios" / "classical"
PROJECT_DATA = Path("{{cookiecutter.project_slug}}", "data")
SEED = 2013
SAMPLE_FRACTION = 0.115  # about 1 MB of flights
FIRST_NEW_MONTH = 9  # development data ends here; the months from here on stand for production
LATE_MINUTES = 15  # the Bureau of Transportation Statistics calls a flight late from 15 minutes on
WEATHER = {
    "temp": "temperature",
    "dewp": "dew_point",
    "humid": "humidity",
    "wind_dir": "wind_direction",
    "wind_speed": "wind_speed",
    "precip": "precipitation",
    "pressure": "pressure",
    "visib": "visibility",
}
STRONGEST_WIND = 200.0  # mph; one broken reading in the source says 1048
HOUR = ["origin", "month", "day", "hour"]


def count_departures(flights: pd.DataFrame) -> pd.DataFrame:
    """Departures per scheduled day and airport, without the cancelled flights: date, origin, departures."""
    flown = flights[flights["dep_time"].notna()]
    dates = pd.to_datetime(flown[["year", "month", "day"]]).rename("date")
    counts = flown.groupby([dates, flown["origin"].astype(str)]).size()
    every_day = pd.MultiIndex.from_product(
        [pd.date_range(dates.min(), dates.max()), sorted(flown["origin"].astype(str).unique())],
        names=["date", "origin"],
    )
    return counts.reindex(every_day, fill_value=0).rename("departures").reset_index()


def hourly_weather(weather: pd.DataFrame) -> pd.DataFrame:
    """One row per airport and local hour; the hour that the end of summer time repeats keeps its first reading."""
    hours = weather.drop_duplicates(HOUR).rename(columns=WEATHER)
    hours["wind_speed"] = hours["wind_speed"].where(hours["wind_speed"] <= STRONGEST_WIND).round(2)
    return hours[[*HOUR, *WEATHER.values()]].astype({"origin": str})


def describe_flights(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """One row per flight that arrived as planned: what is known when it is due to leave, then what happened.

    Cancelled and diverted flights have no arrival delay and no air time, so that no target is known for them: they are
    left out of the rows, but still count as traffic in ``departures_in_hour``, which comes from the timetable.
    """
    flights = flights.astype({"carrier": str, "origin": str, "dest": str})
    clock = flights["sched_arr_time"]  # 1435 is 14:35
    table = pd.DataFrame(
        {
            "flight_id": range(1, len(flights) + 1),
            "scheduled_departure": pd.to_datetime(flights[["year", "month", "day", "hour", "minute"]]),
            "carrier": flights["carrier"],
            "origin": flights["origin"],
            "dest": flights["dest"],
            "distance": flights["distance"],
            "scheduled_arrival_minute": clock // 100 * 60 + clock % 100,
            "departures_in_hour": flights.groupby(HOUR)["flight"].transform("size"),
        }
    )
    joined = flights[HOUR].merge(hourly_weather(weather), on=HOUR, how="left", validate="many_to_one")
    table[list(WEATHER.values())] = joined[list(WEATHER.values())].astype("float64").to_numpy()

    table = table[flights["arr_delay"].notna() & flights["air_time"].notna()].copy()
    outcome = flights.loc[table.index, ["dep_delay", "arr_delay", "air_time"]].astype("int64")
    table["departure_late"] = (outcome["dep_delay"] >= LATE_MINUTES).astype("int64")
    table["arrival_late"] = (outcome["arr_delay"] >= LATE_MINUTES).astype("int64")
    table["arrival_delay_class"] = pd.cut(
        outcome["arr_delay"],
        [-float("inf"), -LATE_MINUTES, LATE_MINUTES - 1, float("inf")],
        labels=["early", "on_time", "late"],
    ).astype(str)
    table["air_time"] = outcome["air_time"]
    return table


def write(table: pd.DataFrame, time: str, layer: str, name: str) -> None:
    """Write a table in order of time, the early months as ``<name>.parquet`` and the rest as ``<name>-new.parquet``."""
    folder = CLASSICAL / layer / PROJECT_DATA
    folder.mkdir(parents=True, exist_ok=True)
    is_new = table[time].dt.month >= FIRST_NEW_MONTH
    for suffix, rows in (("", table[~is_new]), ("-new", table[is_new])):
        path = folder / f"{name}{suffix}.parquet"
        rows.reset_index(drop=True).to_parquet(path, index=False, compression="zstd", compression_level=19)
        print(f"{path.relative_to(CLASSICAL).as_posix()}: {len(rows):,} rows, {path.stat().st_size:,} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("flights", type=Path, help="nycflights13's table flights as Parquet")
    parser.add_argument("weather", type=Path, help="nycflights13's table weather as Parquet")
    arguments = parser.parse_args()
    flights, weather = pd.read_parquet(arguments.flights), pd.read_parquet(arguments.weather)

    write(count_departures(flights), "date", "forecasting", "departures")

    described = describe_flights(flights, weather)
    print(f"{len(flights):,} flights, of which {len(flights) - len(described):,} were cancelled or diverted")
    sample = described.sample(frac=SAMPLE_FRACTION, random_state=SEED)
    write(sample.sort_values(["scheduled_departure", "flight_id"]), "scheduled_departure", "tabular", "flights")


if __name__ == "__main__":
    main()
